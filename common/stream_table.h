// The live exchanges of one worker, for operators: a table in the worker's column of the
// scoreboard. The worker writes each row twice a second, so a row is at most that old. Exchanges
// that end sooner have no row. Exchanges beyond kRows are counted only (Slot::exchanges_now).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "common/published.h"

namespace streamgate {

struct StreamFacts {
  int64_t started_ms = 0;  // CLOCK_MONOTONIC; 0: the row is free
  uint64_t bytes = 0;      // of the body, to the client
  uint64_t rate = 0;       // bytes a second, over the last seconds
  FixedText<12> kind;      // `file`, `live` or `playlist`; empty: not known yet
  FixedText<12> step;
  FixedText<64> id;  // of the exchange
  FixedText<64> client;
  FixedText<256> upstream;  // the URL, redacted
};

struct StreamTable {
  static constexpr size_t kRows = 512;

  std::array<Published<StreamFacts>, kRows> rows;
};

}  // namespace streamgate
