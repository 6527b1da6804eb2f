// The facts about the service that only the master knows, for the admin pages of the workers.
#pragma once

#include <cstdint>

#include "common/published.h"

namespace streamgate {

struct ServiceFacts {
  struct Outcome {
    uint64_t sequence = 0;   // 0: there was none yet
    int64_t started_us = 0;  // CLOCK_MONOTONIC
    FixedText<256> problem;  // empty: it succeeded
  };

  int64_t started_ms = 0;  // CLOCK_MONOTONIC
  int64_t pid = 0;         // of the master
  uint64_t generation = 0;
  uint64_t workers_wanted = 0;
  FixedText<16> state;
  FixedText<256> held;  // why a wanted reload does not begin; empty: none is held
  Outcome reload;
};

}  // namespace streamgate
