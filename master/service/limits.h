// The time limits of the master. `-s`, which waits for a whole reload, uses them as well.
#pragma once

#include <cstdint>

#include "common/config.h"

namespace streamgate {

constexpr int64_t kReadyLimitMs = 10'000;   // from a worker's fork to `ready`
constexpr int64_t kProbeLimitMs = 10'000;   // for the worker's own check of a configuration
constexpr int64_t kTrialLimitMs = 10'000;   // for a new program to bring a worker to `ready`
constexpr int64_t kStoppingNewsMs = 2'000;  // between two reports of a stop to the service manager
constexpr Milliseconds kInterruptGrace{2'000};  // from SIGINT to SIGKILL

}  // namespace streamgate
