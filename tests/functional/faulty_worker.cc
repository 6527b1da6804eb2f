// A Streamgate whose workers break in the manner that $STREAMGATE_FAULT names.
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "worker/worker.h"

namespace streamgate {
namespace {

std::string fault() {
  const char* name = std::getenv("STREAMGATE_FAULT");
  return name ? name : "";
}

}  // namespace

int run_worker(const Heritage& /*heritage*/) {
  if (fault() == "crash") std::abort();
  while (fault() == "hang") ::pause();
  return kExitCannotStart;
}

Result<void> check_worker_config(const Config& /*config*/) {
  while (fault() == "hang_check") ::pause();
  if (fault() == "refuse") return Error{Reason::internal, "no such authority"};
  return {};
}

}  // namespace streamgate
