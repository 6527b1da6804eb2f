// The worker process as the master sees it.
#pragma once

#include "common/config.h"
#include "common/heritage.h"
#include "common/result.h"

namespace streamgate {

// Runs in the forked child, with all signals still blocked as the master had them. Builds the
// worker, serves until told to stop, drains, tears everything down. Returns the exit code of the
// process: kExitClean or kExitCannotStart.
int run_worker(const Heritage& heritage);

// What only a worker can judge of a configuration: CA files. Runs in the `--check` process, or in a
// forked probe, never in the master itself.
Result<void> check_worker_config(const Config& config);

}  // namespace streamgate
