// Counts by a 64-bit key, for shared memory: how many connections each client address has, for
// example. Each worker writes a KeyedCounts of its own, and any process adds up those of all
// workers. There are no locks: a row is one word, so a reader sees a key with its own count or does
// not see it, and a worker that is killed at any instruction leaves nothing half-written.
//
// The initial state is all zero, so the master can clear it without knowing what is in it. The size
// is fixed, and a key whose count is 0 takes no room. A key whose two buckets are full is not
// counted. With 65,536 rows all of 40,000 keys are counted, and all but one of 50,000 (measured).
//
// The state of one worker. Callable by any process, except add() and remove().
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace streamgate {

class alignas(64) KeyedCounts {
 public:
  static constexpr size_t kBuckets = 8192;
  static constexpr size_t kRowsPerBucket = 8;  // of 8 bytes: one cache line
  static constexpr uint64_t kMaxCount = 0xffff;

  // Called by the owner only. Returns the row of the key, for remove(); none if it cannot be
  // counted.
  std::optional<uint32_t> add(uint64_t key);
  void remove(uint32_t row);

  uint64_t count_of(uint64_t key) const;

 private:
  struct Place {
    uint64_t tag;
    std::array<size_t, 2> buckets;
  };

  struct Found {
    uint32_t row;
    uint64_t word;
  };

  static Place place_of(uint64_t key);
  std::optional<Found> find(const Place& place) const;
  std::optional<uint32_t> find_free(const Place& place) const;

  // Each: a 48-bit tag, then a 16-bit count. Free: a count of 0.
  std::array<std::atomic<uint64_t>, kBuckets * kRowsPerBucket> rows_{};
};

}  // namespace streamgate
