// What a Handover names, taken into this process: the descriptors and workers of the program that
// ran here before, or, in a trial, copies of them. Taking changes nothing that others see. Runs in
// the master, and in a trial.
#pragma once

#include <vector>

#include "common/result.h"
#include "common/scoreboard.h"
#include "common/unique_fd.h"
#include "master/process/worker_process.h"
#include "master/service/generation.h"
#include "master/service/listener.h"
#include "master/upgrade/handover.h"

namespace streamgate {

struct Inheritance {
  UniqueFd lifeline_read;
  UniqueFd lifeline_write;
  Listeners from_manager;  // those of the service manager
  Generation generation;   // the one that serves, its listeners among it
  Scoreboard scoreboard;   // that of the older program if the layout is the same, else a new one
  std::vector<WorkerProcess> workers;

  // Owns every descriptor of the handover from here on, and closes them on failure. An error for
  // what is not what the handover says, and for a configuration that this program cannot read.
  static Result<Inheritance> take(const Handover& handover);
};

// The room of a scoreboard: several generations of many workers; a slot takes some 450 bytes.
constexpr size_t kSlots = 512;

}  // namespace streamgate
