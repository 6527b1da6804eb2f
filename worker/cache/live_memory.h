// The memory of an endless body: a ring of its last bytes, and in front of it the newest points
// where a reader can begin. The byte at position P of the body lies at P % size of the ring.
// `filled` and `begin` of the row (common/cache_layout.h) bound the positions that are there.
//
// The owner never waits for readers, so a reader that is stopped or killed holds nothing:
//
//   owner    store the raised `begin`, fence, overwrite; after it store `filled`
//   reader   copy, fence, load `begin`: if it has passed the copy, the copy is void
//
// The records of the points have serials in place of `begin`.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "worker/cache/ts_access_points.h"

namespace streamgate {

struct LiveStart {
  std::atomic<uint64_t> serial{0};  // 0: it is being written
  std::atomic<uint64_t> position{0};
  std::atomic<uint64_t> tables_size{0};
  std::array<char, TsAccessPoints::kMaxTables> tables{};
};

struct alignas(64) LiveMemory {
  std::atomic<uint64_t> has_packets{0};  // not 0: the body is cut into packets of kTsPacket bytes
  std::atomic<uint64_t> newest{0};       // serial of the newest start; 0: there is none
  std::array<LiveStart, 4> starts;
  // The ring follows.

  const char* ring() const { return reinterpret_cast<const char*>(this + 1); }
  char* ring() { return reinterpret_cast<char*>(this + 1); }
};

// The memory lies behind a head of that many bytes.
constexpr uint64_t live_memory_offset(uint64_t head_size) {
  return (head_size + alignof(LiveMemory) - 1) / alignof(LiveMemory) * alignof(LiveMemory);
}

// Where a reader can begin, and the packets that it needs first.
struct LivePoint {
  uint64_t position = 0;
  std::string tables;
};

// In the owner.
void add_start(uint64_t position, std::string_view tables, LiveMemory& memory);
// In any process. None: there is none, or it was overwritten again and again.
std::optional<LivePoint> newest_start(const LiveMemory& memory);

}  // namespace streamgate
