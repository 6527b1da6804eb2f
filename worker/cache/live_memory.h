// The memory of an endless body: the newest points where a reader can begin, then a ring of its
// last bytes. The byte at position P of the body is at P % size of the ring. `filled` and `begin`
// of the row (common/cache_layout.h) bound the positions that are there.
//
// One process writes the ring, the owner. Any process may read it at any time, and no lock is held,
// so a process that is stopped or killed holds up no other one. Invariants:
//
//   1. Each byte at a position from `begin` up to `filled` is in the ring, unchanged.
//      The owner stores bytes first and `filled` after them (release); a reader loads `filled`
//      (acquire) and reads below it only.
//      Before the owner overwrites position P - size with P, it stores a `begin` above P - size,
//      and fences.
//   2. A reader uses a copy only if no byte of it was overwritten while it was made: it copies,
//      fences, and loads `begin`. If `begin` is above the first position of the copy, it drops the
//      copy. Both fences are sequentially consistent: if the copy has one byte of a later position,
//      the load sees the `begin` that was stored before that byte.
//   3. `begin`, `filled` and the position of a reader never fall, so no byte is read twice.
//   4. If the owner dies at any instruction, 1 stays true: bytes that it had begun to overwrite are
//      below `begin`, bytes that it had not finished are above `filled`.
//
// The owner reads its own ring without a copy: it does not write while it reads.
//
// The records of the points have serials in place of `begin`: 0 while the record is written. The
// reader loads the serial, copies, fences, and loads the serial again.
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

// A point of the body. One record is written at a time.
struct LiveStart {
  std::atomic<uint64_t> serial{0};  // 0: it is being written
  std::atomic<uint64_t> position{0};
  std::atomic<uint64_t> tables_size{0};
  std::array<char, TsAccessPoints::kMaxTables> tables{};
};

struct alignas(64) LiveMemory {
  std::atomic<uint64_t> has_packets{0};  // not 0: the body is cut into packets of kTsPacket bytes
  std::atomic<uint64_t> newest{0};       // serial of the newest start; 0: there is none
  std::atomic<int64_t> written_ms{0};    // CLOCK_MONOTONIC: when the last bytes came
  std::array<LiveStart, 4> starts;
  // The ring follows.

  const char* ring() const { return reinterpret_cast<const char*>(this + 1); }
  char* ring() { return reinterpret_cast<char*>(this + 1); }
};

// The offset of the memory, after a head of that many bytes.
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
