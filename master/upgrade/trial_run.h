// The new program's half of a trial (master/upgrade/program_trial.h): `main` calls it instead of
// serving. Runs in a child of the serving master, and dies with it.
#pragma once

#include "master/program.h"
#include "master/upgrade/trial_order.h"

namespace streamgate {

// Takes the handover over, closes it again, and brings one worker to *ready* on sockets that nobody
// can connect to. Writes the verdict to the pipe and returns the exit code of the process.
int run_trial(const Program& program, const TrialOrder& order);

}  // namespace streamgate
