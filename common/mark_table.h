// A small table of marks, each for a key, that forgets the oldest ones. It lives in shared memory:
// one process writes it, every process may read it. A mark is one word, so no lock is needed, and a
// process that dies while it writes leaves either the old mark or the new one. All zero: empty.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace streamgate {

class MarkTable {
 public:
  struct Mark {
    unsigned value;                 // 0 to 3
    std::chrono::milliseconds age;  // to 100 ms; wraps after 19 days
  };

  // `key` is a hash (common/hash.h). Two keys are the same if 38 bits and the set are equal.
  // `now_ms`: CLOCK_MONOTONIC.
  void put(uint64_t key, unsigned value, int64_t now_ms);
  std::optional<Mark> find(uint64_t key, int64_t now_ms) const;

 private:
  static constexpr size_t kSets = 128;
  static constexpr size_t kWays = 4;
  using Set = std::array<std::atomic<uint64_t>, kWays>;

  std::array<Set, kSets> sets_{};
};

}  // namespace streamgate
