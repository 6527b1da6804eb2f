// Takes the descriptors and workers of a Handover into this process: those of the previous program
// or, in a trial, copies of them. No other process sees an effect. Runs in the master, and in a
// trial.
#pragma once

#include <vector>

#include "common/result.h"
#include "common/scoreboard.h"
#include "common/unique_fd.h"
#include "master/process/cache_seats.h"
#include "master/process/worker_process.h"
#include "master/service/generation.h"
#include "master/service/listener.h"
#include "master/upgrade/handover.h"

namespace streamgate {

struct Inheritance {
  UniqueFd lifeline_read;
  UniqueFd lifeline_write;
  Listeners from_manager;  // bound by the service manager
  Generation generation;   // the serving generation, with its listeners
  Scoreboard scoreboard;   // the previous program's if the layout is the same, otherwise a new one
  std::vector<WorkerProcess> workers;
  CacheSeats cache_seats;  // empty if there was no cache, or one of another layout

  // Takes ownership of every descriptor of the handover, and closes them on failure. Fails if a
  // descriptor is not what the handover says, or if this program cannot read the configuration.
  static Result<Inheritance> take(const Handover& handover);
};

}  // namespace streamgate
