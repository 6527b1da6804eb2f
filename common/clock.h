// The one clock for deadlines, ages and heartbeats.
#pragma once

#include <cstdint>

namespace streamgate {

// CLOCK_MONOTONIC: the same for all processes, never set back. Async-signal-safe.
int64_t monotonic_ms();
int64_t monotonic_us();

}  // namespace streamgate
