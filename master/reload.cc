// SIGHUP: the half of the Supervisor that replaces one generation by the next.
//
//   begin_wanted_reload -> (another program? supervisor_upgrade.cc) -> begin_reload -> (probe)
//     -> start_new_generation (binds what is new) -> (all ready) -> commit_reload
//                   any failure: abandon_reload; the old generation never notices
#include <signal.h>

#include <algorithm>
#include <string>
#include <utility>

#include "common/log.h"
#include "master/service/limits.h"
#include "master/supervisor.h"
#include "master/upgrade/trial_verdict.h"

namespace streamgate {
namespace {

constexpr size_t kDrainingPerPlace = 8;  // drain.max_workers: auto

}  // namespace

void Supervisor::begin_wanted_reload() {
  if (!reload_wanted_ || is_reloading() || stop_ != Stop::no || is_held()) return;
  reload_wanted_ = false;
  reload_started_us_ = monotonic_us();
  manager_.notify("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(reload_started_us_));
  log::info("reload.started", {{"config", program_.config_file}});
  if (!begin_upgrade()) begin_reload();
}

// A reload adds a generation to those that still drain. Too many of them, and it waits.
bool Supervisor::is_held() {
  const size_t draining = draining_workers();
  const size_t limit = most_draining_workers();
  const bool is_new = held_reason_.empty();
  std::string reason;
  if (draining >= limit) {
    reason = "it waits until one of " + std::to_string(draining) +
             " draining workers has left (drain.max_workers: " + std::to_string(limit) + ")";
  }
  if (reason != held_reason_) state_changed_ = true;
  held_reason_ = std::move(reason);
  if (held_reason_.empty()) return false;
  if (is_new) log::warn("reload.held", {{"draining", draining}, {"max_workers", limit}});
  return true;
}

size_t Supervisor::draining_workers() const {
  const auto count = std::count_if(workers_.begin(), workers_.end(), [](const auto& worker) {
    return worker.order() != WorkerProcess::Order::serve;
  });
  return static_cast<size_t>(count);
}

// The scoreboard bounds it, too: this generation and the next one need room.
size_t Supervisor::most_draining_workers() const {
  const size_t places = current_->places.size();
  const size_t slots = scoreboard_->slot_count();
  const size_t room = slots > 2 * places ? slots - 2 * places : 1;
  const size_t wanted = current_->config.drain.max_workers;
  return std::min(wanted > 0 ? wanted : kDrainingPerPlace * places, room);
}

void Supervisor::begin_reload() {
  LoadedConfig loaded = load_config_in_effect();
  if (!loaded.ok()) return reload_failed("the configuration is wrong", first_of(loaded.problems));
  auto prepared = Generation::outline(++last_generation_, std::move(loaded.config));
  if (!prepared) return reload_failed(prepared.error().detail, "");
  auto generation = std::make_unique<Generation>(*std::move(prepared));
  auto probe = Probe::start([&]() -> Result<void> {
    keep_only(*generation);
    if (generation->account) {
      if (auto became = become(*generation->account); !became) return became;
    }
    return program_.check_worker_config(generation->config);
  });
  if (!probe) return reload_failed(probe.error().detail, "");
  reload_ = Reload{std::move(generation), *std::move(probe), monotonic_ms() + kProbeLimitMs};
  state_changed_ = true;
}

void Supervisor::judge_probe(int wait_status) {
  const auto outcome = reload_->probe->outcome(wait_status);
  reload_->probe.reset();
  if (!outcome) return abandon_reload(outcome.error().detail);
  start_new_generation();
}

void Supervisor::start_new_generation() {
  Generation& generation = *reload_->generation;
  // Not before the configuration is known to be right: clients would queue for nobody.
  if (auto bound = generation.bind(current_->listeners); !bound) {
    return abandon_reload(bound.error().detail);
  }
  // Workers inherit the log of the master, so it must be the new one when they are forked.
  const auto opened = open_log_files(generation.config.log, generation.account);
  if (!opened) return abandon_reload(opened.error().detail);
  reload_->deadline_ms = monotonic_ms() + kReadyLimitMs;
  for (unsigned i = 0; i < generation.places.size(); ++i) {
    const auto spawned = spawn(generation, i);
    if (!spawned) return abandon_reload(spawned.error().detail);
    generation.places[i].taken = true;
  }
}

void Supervisor::finish_reload_if_ready() {
  if (!reload_) return;
  if (!reload_->probe && all_ready(*reload_->generation)) return commit_reload();
  if (monotonic_ms() < reload_->deadline_ms) return;
  abandon_reload(reload_->probe ? "the check of the configuration takes too long"
                                : "the new workers were not ready in time");
}

void Supervisor::commit_reload() {
  const std::unique_ptr<Generation> old = std::exchange(current_, std::move(reload_->generation));
  reload_.reset();
  first_generation_ready_ = true;  // of a service whose first configuration needed mending, too
  const int64_t now = monotonic_ms();
  for (WorkerProcess& worker : workers_) {
    if (worker.identity().generation == current_->number) continue;
    worker.drain(now, drain_limit());
  }
  old->remove_files_not_in(current_->listeners);
  if (const auto moved = claim_pid_file(); !moved) {
    log::error("master.pid_file_failed", {{"reason", moved.error().detail}});
  }
  log::info("reload.done", {{"generation", current_->number},
                            {"workers", current_->places.size()},
                            {"addresses", current_->addresses()}});
  reload_ended("");
}

void Supervisor::abandon_reload(const std::string& reason) {
  const Reload abandoned = *std::exchange(reload_, std::nullopt);
  if (abandoned.probe) ::kill(abandoned.probe->pid(), SIGKILL);
  const int64_t now = monotonic_ms();
  for (WorkerProcess& worker : workers_) {
    if (worker.identity().generation != abandoned.generation->number) continue;
    // One that was ready may have taken clients already: they are served to their end.
    if (worker.is_ready()) {
      worker.drain(now, drain_limit());
    } else {
      worker.leave(now, kLeaveGrace);
    }
  }
  abandoned.generation->remove_files_not_in(current_->listeners);
  open_current_logs();
  reload_failed(reason, "");
}

// `detail` is for those who do not read the log, where it stands already.
void Supervisor::reload_failed(const std::string& reason, const std::string& detail) {
  log::error("reload.failed", {{"reason", reason}, {"serving_generation", current_->number}});
  reload_ended(detail.empty() ? reason : reason + ": " + detail);
}

void Supervisor::reload_ended(const std::string& problem) {
  last_reload_.record(reload_started_us_, problem);
  state_changed_ = true;
  if (first_generation_ready_) tell_ready();
}

}  // namespace streamgate
