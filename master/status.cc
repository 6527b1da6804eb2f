// What the Supervisor tells others about itself: the status file, the service manager, the log.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "common/log.h"
#include "master/service/limits.h"
#include "master/supervisor.h"

namespace streamgate {

void Supervisor::publish_state() {
  if (!state_changed_) return;
  state_changed_ = false;
  manager_.notify("STATUS=" + summary());
  const auto written = status_file_.write(pid_file_.path(), print_status(report()));
  if (!written && !status_file_troubled_) {
    log::warn("master.status_not_written", {{"reason", written.error().detail}});
  }
  status_file_troubled_ = !written;
}

// The manager restarts the service when this stops: when the loop hangs, or no worker shows life.
// While a stop takes its time, the manager's own patience has to last as long as ours.
void Supervisor::feed_watchdog() {
  const int64_t now = monotonic_ms();
  const int64_t interval = manager_.watchdog_ms().value_or(kStoppingNewsMs);
  if (now - watchdog_fed_ms_ < std::min(interval, kStoppingNewsMs)) return;
  watchdog_fed_ms_ = now;
  if (stop_ != Stop::no) manager_.notify("EXTEND_TIMEOUT_USEC=10000000");
  const bool served = std::any_of(workers_.begin(), workers_.end(), [&](const auto& worker) {
    return worker.silence_ms(now) < current_->config.watchdog_timeout.count();
  });
  if (served && manager_.watchdog_ms()) manager_.notify("WATCHDOG=1");
}

std::string_view Supervisor::state_name() const {
  if (stop_ != Stop::no) return "stopping";
  if (is_reloading()) return "reloading";
  return first_generation_ready_ ? "serving" : "starting";
}

std::string Supervisor::summary() const {
  const auto of_this = std::count_if(workers_.begin(), workers_.end(), [&](const auto& worker) {
    return worker.identity().generation == current_->number &&
           worker.order() == WorkerProcess::Order::serve && worker.is_ready();
  });
  std::string out = std::string(state_name()) + ", generation " + std::to_string(current_->number) +
                    ": " + std::to_string(of_this) + " of " +
                    std::to_string(current_->places.size()) + " workers ready";
  const size_t draining = draining_workers();
  if (draining > 0) out += ", " + std::to_string(draining) + " draining";
  if (!held_reason_.empty()) out += "; a reload is held: " + held_reason_;
  if (last_reload_.sequence == 0) return out;
  // One line, whatever the reason quotes.
  return out + "; last reload " +
         (last_reload_.problem.empty() ? "ok" : "failed: " + log::quote(last_reload_.problem));
}

StatusReport Supervisor::report() {
  const int64_t now = monotonic_ms();
  StatusReport out;
  out.pid = ::getpid();
  out.start_ticks = start_ticks_of(out.pid);
  out.generation = current_->number;
  out.state = state_name();
  out.age_s = (now - started_ms_) / 1000;
  out.written_us = monotonic_us();
  out.workers_wanted = current_->places.size();
  out.addresses = current_->addresses();
  out.held = held_reason_;
  out.reload = last_reload_;
  out.reopen = last_reopen_;
  for (const WorkerProcess& worker : workers_) {
    const auto& [pid, slot, generation, place] = worker.identity();
    out.workers.push_back({pid, slot, generation, name_of(worker.slot().state.load()),
                           worker.age_ms(now) / 1000, worker.slot().connections_now.load(),
                           worker.slot().exchanges_now.load()});
  }
  for (const CounterInfo& info : kCounters) {
    out.totals.push_back(total_of(info.counter, scoreboard_->board(), scoreboard_->slots()));
  }
  return out;
}

// After the start, and after each reload, whatever came of it: the service serves.
void Supervisor::tell_ready() const {
  manager_.notify("READY=1\nMAINPID=" + std::to_string(::getpid()) + "\nSTATUS=" + summary());
}

std::string Supervisor::open_current_logs() const {
  const auto opened = open_log_files(current_->config.log, current_->account);
  if (opened) return {};
  log::error("log.reopen_failed", {{"reason", opened.error().detail}});
  return opened.error().detail;
}

void Supervisor::reopen_logs() {
  const int64_t started_us = monotonic_us();
  const std::string problem = open_current_logs();
  if (problem.empty()) log::info("log.reopened");
  for (const WorkerProcess& worker : workers_) worker.send(SIGUSR1);
  last_reopen_.record(started_us, problem);
  state_changed_ = true;
}

void Supervisor::log_state() const {
  log::info("state.master", {{"generation", current_->number},
                             {"workers", workers_.size()},
                             {"wanted", current_->places.size()},
                             {"addresses", current_->addresses()},
                             {"reloading", is_reloading() ? "yes" : "no"}});
  const int64_t now = monotonic_ms();
  for (const WorkerProcess& worker : workers_) {
    log::info("state.worker", {{"worker", worker.identity().pid},
                               {"slot", worker.identity().slot_index},
                               {"generation", worker.identity().generation},
                               {"state", name_of(worker.slot().state.load())},
                               {"age", std::to_string(worker.age_ms(now) / 1000) + "s"},
                               {"connections", worker.slot().connections_now.load()},
                               {"exchanges", worker.slot().exchanges_now.load()}});
    worker.send(SIGUSR2);
  }
}

}  // namespace streamgate
