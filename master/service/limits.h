// How long the master waits for what it has started. Shared by the files of the Supervisor,
// and by `-s`, which waits for the whole of a reload.
#pragma once

#include <cstdint>

#include "common/config.h"

namespace streamgate {

constexpr int64_t kReadyLimitMs = 10'000;   // from a worker's fork to `ready`
constexpr int64_t kProbeLimitMs = 10'000;   // for the worker's own check of a configuration
constexpr int64_t kTrialLimitMs = 10'000;   // for a new program to bring a worker to `ready`
constexpr int64_t kStoppingNewsMs = 2'000;  // how often the manager hears that a stop goes on
constexpr Milliseconds kLeaveGrace{2'000};  // from "leave now" to SIGKILL

}  // namespace streamgate
