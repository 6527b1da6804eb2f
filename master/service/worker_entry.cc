#include "master/service/worker_entry.h"

#include "common/log.h"
#include "master/process/account.h"

namespace streamgate {
namespace {

Result<void> change_user(const Generation& generation) {
  return generation.account ? become(*generation.account) : Result<void>();
}

}  // namespace

int run_as_worker(const Generation& generation, const WorkerSeat& seat,
                  const std::function<int(const Heritage&)>& run_worker) {
  for (const auto& prepared : {seat.scoreboard.confine(seat.slot_index), change_user(generation)}) {
    if (prepared) continue;
    log::error("worker.cannot_start", {{"reason", prepared.error().detail}});
    return kExitCannotStart;
  }
  const Heritage heritage{.config = generation.config,
                          .listeners = generation.sockets,
                          .ticket_key = generation.ticket_key,
                          .slot_index = seat.slot_index,
                          .generation = generation.number,
                          .scoreboard = seat.scoreboard.view(),
                          .column = seat.scoreboard.column(seat.slot_index),
                          .lifeline_fd = seat.lifeline_fd};
  return run_worker(heritage);
}

Result<void> check_as_worker(const Generation& generation,
                             const std::function<Result<void>(const Config&)>& check) {
  if (auto changed = change_user(generation); !changed) return changed;
  return check(generation.config);
}

}  // namespace streamgate
