// A Streamgate whose workers fail as the file $STREAMGATE_FAULT says.
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "worker/worker.h"

namespace streamgate {
namespace {

std::string fault() {
  const char* path = std::getenv("STREAMGATE_FAULT");
  std::string name;
  std::ifstream(path ? path : "/dev/null") >> name;
  return name;
}

}  // namespace

int run_worker(const Heritage& heritage) {
  if (fault() == "freeze") {  // after it reported ready
    heritage.column.slot.state = WorkerState::ready;
    while (true) ::pause();
  }
  if (fault() == "crash") std::_Exit(99);
  while (fault() == "hang") ::pause();
  return kExitCannotStart;
}

Result<void> check_worker_config(const Config& /*config*/) {
  while (fault() == "hang_check") ::pause();
  if (fault() == "refuse") return Error{Reason::internal, "no such authority"};
  return {};
}

}  // namespace streamgate
