// The code between fork() and the worker's own code, in a child that becomes a worker and in a
// child that checks a configuration as a worker does. Runs in the child only.
#pragma once

#include <functional>
#include <optional>

#include "common/heritage.h"
#include "common/result.h"
#include "common/scoreboard.h"
#include "master/process/cache_seats.h"
#include "master/service/generation.h"

namespace streamgate {

// The worker's place in the memory that the master shares with its workers, and its lifeline.
struct WorkerSeat {
  Scoreboard& scoreboard;
  unsigned slot_index;
  int lifeline_fd;
  std::optional<CacheSeatGrant> cache = std::nullopt;
};

// Makes the scoreboard and the cache directory read-only except the worker's own columns, drops
// privileges (the generation's user, no_new_privs, core dumps as configured) and calls
// `run_worker`. Only this function fills the Heritage. Returns the exit code of the process:
// kExitCannotStart if one of the changes fails.
int run_as_worker(const Generation& generation, const WorkerSeat& seat,
                  const std::function<int(const Heritage&)>& run_worker);

// Drops the same privileges and calls `check` with the generation's configuration.
Result<void> check_as_worker(const Generation& generation,
                             const std::function<Result<void>(const Config&)>& check);

}  // namespace streamgate
