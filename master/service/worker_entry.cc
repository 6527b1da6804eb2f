#include "master/service/worker_entry.h"

#include <algorithm>

#include "common/hash.h"
#include "common/log.h"
#include "common/process_title.h"
#include "master/config/loader.h"
#include "master/process/account.h"

namespace streamgate {
namespace {

bool may_dump_core(const Config& config) {
  using CoreDumps = SecurityConfig::CoreDumps;
  if (config.security.core_dumps != CoreDumps::automatic) {
    return config.security.core_dumps == CoreDumps::on;
  }
  if (!config.security.keys.empty()) return false;
  return std::none_of(config.listen.begin(), config.listen.end(),
                      [](const ListenConfig& entry) { return entry.tls.has_value(); });
}

Result<void> drop_privileges(const Generation& generation) {
  if (generation.account) {
    if (auto changed = become(*generation.account); !changed) return changed;
  }
  if (auto given_up = give_up_new_privileges(); !given_up) return given_up;
  return may_dump_core(generation.config) ? Result<void>() : forbid_core_dumps();
}

Result<void> confine_cache(const WorkerSeat& seat) {
  return seat.cache ? seat.cache->directory->confine(seat.cache->column) : Result<void>();
}

// The same for two generations if an answer of one is right for clients of the other.
uint64_t mark_of_settings(const Config& config) {
  uint64_t mark = kHashSeed;
  for (const ConfigSetting& setting : settings_of(config)) {
    mark = hash_of(setting.key, mark);
    mark = hash_of(setting.value, mark);
  }
  return mark;
}

}  // namespace

int run_as_worker(const Generation& generation, const WorkerSeat& seat,
                  const std::function<int(const Heritage&)>& run_worker) {
  set_process_name("streamgate-w" + std::to_string(seat.slot_index));
  set_process_title(worker_title(seat.slot_index, generation.number));
  for (const auto& prepared : {seat.scoreboard.confine(seat.slot_index), confine_cache(seat),
                               drop_privileges(generation)}) {
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
                          .arrivals = seat.scoreboard.arrivals(),
                          .lifeline_fd = seat.lifeline_fd,
                          .cache = seat.cache ? seat.cache->directory.get() : nullptr,
                          .cache_column = seat.cache ? seat.cache->column : 0,
                          .settings_mark = mark_of_settings(generation.config)};
  return run_worker(heritage);
}

Result<void> check_as_worker(const Generation& generation,
                             const std::function<Result<void>(const Config&)>& check) {
  set_process_title("check of a configuration");
  if (auto changed = drop_privileges(generation); !changed) return changed;
  return check(generation.config);
}

}  // namespace streamgate
