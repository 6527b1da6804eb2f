// The worker process: its main function and the check of its configuration.
#pragma once

#include "common/config.h"
#include "common/heritage.h"
#include "common/result.h"

namespace streamgate {

// Runs in the forked child, which starts with the master's blocked signals. Builds the worker,
// serves until a signal stops it, drains, destroys everything. Returns the exit code of the
// process: kExitClean or kExitCannotStart.
int run_worker(const Heritage& heritage);

// Checks the parts of a configuration that need OpenSSL: CA files, certificates and keys. Runs in
// the `--check` process or in a forked probe, never in the master itself. tls_failed if a file is
// wrong.
Result<void> check_worker_config(const Config& config);

}  // namespace streamgate
