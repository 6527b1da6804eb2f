// The new program's half of an upgrade's trial (master/upgrade/program_trial.h): `main` comes here
// instead of serving. Runs in a child of the master that serves, and ends with it.
#pragma once

#include "master/program.h"
#include "master/upgrade/trial_order.h"

namespace streamgate {

// Takes the handover, lets go of it again, and brings one worker to *ready* on sockets that nobody
// can find. The exit code of the process; the verdict has gone through the pipe before.
int run_trial(const Program& program, const TrialOrder& order);

}  // namespace streamgate
