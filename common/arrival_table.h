// Limits by rate, in shared memory that every worker writes: how many requests a client may send
// per second, and how many bytes it may receive. The algorithm is GCRA: each key has a theoretical
// arrival time. What a client takes moves its time forward by the cost, and a client whose time is
// too far in the future has to wait. A client that has taken less than its rate has a time in the
// past, which means the same as no row at all.
//
// A row is one word, changed by compare-and-swap, so a worker that is killed at any instruction
// leaves the old time or the new one. The size is fixed. A new key takes an empty row or the row
// with the oldest time of its set, so the clients that have to wait longest are forgotten last: of
// a million addresses, only those that were active within the last second matter.
//
// All zero is the initial state, but `seed` should be random, so that a client cannot find
// another address that shares its row with a given client.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace streamgate {

class ArrivalTable {
 public:
  static constexpr size_t kSets = 16'384;
  static constexpr size_t kWays = 8;  // of 8 bytes: one cache line
  // No time is further ahead than this.
  static constexpr int64_t kMaxAheadUs = 60'000'000;

  // How far the time of `key` is ahead of now; 0 if it is in the past.
  int64_t ahead_us(uint64_t key, int64_t now_us) const;

  // Moves the time of `key` forward by `cost_us`, unless it would then be more than `tolerance_us`
  // ahead of now. Returns whether it did.
  bool take(uint64_t key, int64_t cost_us, int64_t tolerance_us, int64_t now_us);

  // Moves the time of `key` in any case: forward, or back if the cost is negative. Returns how far
  // it was ahead of now before.
  int64_t charge(uint64_t key, int64_t cost_us, int64_t now_us);

  // Random, set once by the process that makes the table.
  std::atomic<uint64_t> seed{0};

 private:
  struct Place;

  Place find(uint64_t key, int64_t now_us) const;

  alignas(64) std::array<std::atomic<uint64_t>, kSets * kWays> rows_{};
};

}  // namespace streamgate
