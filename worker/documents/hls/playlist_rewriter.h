// Rewrites an HLS playlist so that everything the player asks for next comes back through us
// (RFC 8216bis 4; RFC 3986 5.2). Incremental and byte-preserving: every byte that is not a URI goes
// through untouched, and memory is bounded by one line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "worker/links/link_context.h"
#include "worker/loop/block_buffer.h"

namespace streamgate {

class PlaylistRewriter {
 public:
  PlaylistRewriter();
  ~PlaylistRewriter();
  PlaylistRewriter(const PlaylistRewriter&) = delete;
  PlaylistRewriter& operator=(const PlaylistRewriter&) = delete;

  // Comes first, and again for each further playlist, which then uses the memory of the one before.
  void begin(const PlaylistContext& context);
  // Appends the rewritten text of every line that is complete by now to `out`.
  void write(std::string_view bytes, BlockBuffer& out);
  // The upstream's body has ended: the last line may lack its newline, and none is added.
  void finish(BlockBuffer& out);

  uint64_t lines_too_long() const;
  // Of lines that were cut in two; it stays for the next playlist.
  size_t memory_bytes() const;
  // The output was never taken away and came to more than 64 MiB: what follows is not rewritten any
  // more, and none of it may be used. Short references grow by the parameters of their request, so
  // that a few bytes could otherwise take all memory.
  bool has_grown_too_far() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace streamgate
