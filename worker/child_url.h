// Turns a reference found in a playlist into the URL at which the player gets it through us:
// `<proxy_origin><route_path>?url=<encoded absolute URL><parameters>`.
//
// The same upstream URL always becomes the same text, because players compare URLs between reloads
// (RFC 8216bis 6.3.4).
//
// Level 1: no socket, no event loop.
#pragma once

#include <string>
#include <string_view>

#include "common/url.h"
#include "worker/block_writer.h"

namespace streamgate {

struct PlaylistContext;  // worker/playlist_rewriter.h

class ChildUrlWriter {
 public:
  // `context` and its strings outlive the writer.
  explicit ChildUrlWriter(const PlaylistContext& context);

  // True if `reference` has to come through us: its child URL was appended. False if it must stay
  // as it is; nothing was appended then. Left alone are other schemes than http(s), the empty
  // reference, references that a player's EXT-X-DEFINE variables still change, URLs without a host,
  // and our own.
  bool append(std::string_view reference, BlockWriter& out);

 private:
  struct Child;

  bool append_directly(std::string_view reference, BlockWriter& out) const;
  bool append_resolved(std::string_view reference, BlockWriter& out);
  size_t bound_of(const Child& child) const;
  char* put_prefix(const Child& child, char* to) const;
  std::string_view parameters_for(std::string_view absolute) const;
  bool is_ours(std::string_view reference) const;
  bool is_same_origin(std::string_view absolute) const;

  const PlaylistContext& context_;
  const UriParts base_;
  const bool is_named_;
  std::string origin_;  // of the base, as it is spelled there: `https://cdn.example:8443`
  // `<proxy_origin><route_path>?url=`, then nothing, the base's encoded origin, or that and its
  // directory (with the last slash). name_at_ is where `/<name>` goes in for ChildUrls::named.
  std::string absolute_prefix_;
  std::string origin_prefix_;
  std::string directory_prefix_;
  size_t name_at_ = 0;
  std::string resolved_;  // scratch
};

}  // namespace streamgate
