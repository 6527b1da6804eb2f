// The upstream hosts with most failures, as one worker has seen them: a table in the worker's
// column of the scoreboard. If it is full, a new host takes the place of the one with fewest
// failures.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "common/published.h"

namespace streamgate {

struct HostFailures {
  uint64_t failed = 0;    // exchanges that ended with a reason of the upstream
  uint64_t statuses = 0;  // answers with a status of 400 or more
  int64_t last_ms = 0;    // CLOCK_MONOTONIC; 0: the row is free
  FixedText<24> last;     // the last reason or status
  FixedText<96> host;     // with its port

  uint64_t all() const { return failed + statuses; }
};

struct HostFailureTable {
  static constexpr size_t kRows = 64;

  std::array<Published<HostFailures>, kRows> rows;
};

}  // namespace streamgate
