// The connections of one worker that upstream.max_connections limits: a table in its column of the
// scoreboard (common/scoreboard.h). worker/upstream/connection_places.h has the protocol.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace streamgate {

struct ConnectionRow {
  std::atomic<uint64_t> key{0};  // of the origin or the account; 0: the row was never used
  // 2 * connections, plus 1 while the worker claims one more. A row with 0 here and no waiting
  // request may be used for another key.
  std::atomic<uint64_t> state{0};
  std::atomic<int64_t> waiting_since_ms{0};  // of the longest waiting request; 0: none waits
};

struct ConnectionTable {
  static constexpr size_t kSets = 128;
  static constexpr size_t kWays = 8;

  // Rows that have waiting_since_ms.
  std::atomic<uint32_t> rows_waiting{0};
  std::array<ConnectionRow, kSets * kWays> rows;

  // The only rows that a key can have.
  std::span<ConnectionRow> rows_of(uint64_t key) {
    return std::span(rows).subspan(key % kSets * kWays, kWays);
  }
  std::span<const ConnectionRow> rows_of(uint64_t key) const {
    return std::span(rows).subspan(key % kSets * kWays, kWays);
  }
};

}  // namespace streamgate
