// `--foreground-worker`: one worker without a master, to run under a debugger or a profiler.
#pragma once

#include "master/program.h"

namespace streamgate {

// Binds the configuration's addresses, opens its logs, changes to its `user` and runs one worker in
// this process until a signal stops it. There is no fork, no pid file, no reload and no watchdog,
// so a breakpoint may stop the process for any time. Returns the process's exit status.
int run_foreground_worker(const Program& program);

}  // namespace streamgate
