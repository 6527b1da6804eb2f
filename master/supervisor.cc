#include "master/supervisor.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "common/clock.h"
#include "common/log.h"
#include "common/version.h"
#include "master/process/child_process.h"
#include "master/process/own_process.h"
#include "master/service/limits.h"
#include "master/service/running_service.h"
#include "master/service/worker_entry.h"

namespace streamgate {
namespace {

constexpr int64_t kTickMs = 1'000;       // how often beats are checked
constexpr int64_t kReadyTickMs = 10;     // the same while a worker starts
constexpr int64_t kSuspendedMs = 3'000;  // a longer turn of the loop: the process was suspended

std::string after(Milliseconds delay) {
  if (delay.count() == 0) return "at once";
  return "in " + std::to_string(delay.count() / 1000) + "s";
}

// One line for each death, which also says when the place is filled: a crash loop must not flood
// the log.
void log_death(const WorkerProcess& worker, const LastRequest& request, const Ending& ending,
               const std::string& replaced) {
  const auto& [pid, slot, generation, place] = worker.identity();
  const std::string age = std::to_string(worker.age_ms(monotonic_ms()) / 1000) + "s";
  const char* hint = "see its last log lines";
  // A KILL that the master did not send usually comes from the kernel.
  if (ending.value() == "KILL") {
    hint = worker.order() == WorkerProcess::Order::kill ? "it did not react to earlier signals"
                                                        : "perhaps out of memory";
  }
  log::error("worker.died", {{"worker", pid},
                             {ending.kind(), ending.value()},
                             {"slot", slot},
                             {"generation", generation},
                             {"age", age},
                             {"exchanges_lost", worker.slot().exchanges_now.load()},
                             {request.is_running ? "request" : "last_request", request.text},
                             {"step", request.step},
                             {"replaced", replaced},
                             {"hint", hint}});
}

}  // namespace

int Supervisor::run() {
  const auto started = program_.handover_fd ? take_over(UniqueFd(*program_.handover_fd)) : start();
  if (!started) {
    return fail_start(started.error().detail);
  }
  while (stop_ == Stop::no) {
    reap_exited_children();  // a crash vacates its place, a failed start fails the reload
    announce_ready_workers();
    kill_stuck_workers();  // not after the master itself was suspended
    feed_watchdog();
    advance_upgrade();      // a successful trial: the new program takes over here
    advance_reload();       // the new generation is ready: the old one drains
    begin_wanted_reload();  // after SIGHUP
    spawn_missing_workers();
    status_.publish(view(), manager_, pid_file_.path(), workers_->scoreboard().board());
    log::report_dropped();
    handle(wait_for_signal(signal_fd_, wait_limit_ms()));
    stop_when_left();
  }
  return stop_all_workers();
}

// --- the steps of the loop ---

void Supervisor::reap_exited_children() {
  workers_->mirror();
  workers_->cache_seats().sweep();
  int wait_status = 0;
  for (pid_t pid = 0; (pid = ::waitpid(-1, &wait_status, WNOHANG)) > 0;) {
    if (reload_ && reload_->on_child_exit(pid, wait_status)) continue;
    if (upgrade_ && upgrade_->on_child_exit(pid, wait_status)) continue;
    const auto worker = workers_->remove(pid);
    if (!worker) continue;  // a check or a trial that was abandoned
    status_.note_change();
    reap(*worker, Ending{wait_status});
    workers_->retire(*worker);
  }
}

void Supervisor::reap(const WorkerProcess& worker, const Ending& ending) {
  const bool expected = worker.order() != WorkerProcess::Order::serve && ending.is_exit(kExitClean);
  const uint64_t number = worker.identity().generation;
  const bool cannot_begin = !first_generation_ready_ && ending.is_exit(kExitCannotStart);
  const bool is_missed = stop_ == Stop::no && current_->number == number && !cannot_begin;
  const Milliseconds delay = is_missed ? vacate_place(worker, ending) : Milliseconds(0);
  if (expected) {
    log::info("worker.left", {{"worker", worker.identity().pid}, {"generation", number}});
  } else {
    workers_->count(Counter::workers_died);
    log_death(worker, workers_->last_request(worker), ending, is_missed ? after(delay) : "no");
  }
  if (stop_ != Stop::no) return;
  if (reload_ && reload_->starts(number)) {
    return reload_->fail("worker " + std::to_string(worker.identity().pid) + " ended with " +
                         ending.kind() + " " + ending.value() + " before all were ready");
  }
  if (cannot_begin && current_->number == number) {
    abort_start("a worker could not start; its log lines say why");
  }
}

// Returns the delay after which spawn_missing_workers() fills the place again.
Milliseconds Supervisor::vacate_place(const WorkerProcess& worker, const Ending& ending) {
  const int64_t now = monotonic_ms();
  const auto death = ending.is_exit(kExitCannotStart) ? RespawnPolicy::Death::could_not_start
                                                      : RespawnPolicy::Death::crashed;
  return current_->vacate(worker.identity().place, death, Milliseconds(worker.age_ms(now)), now);
}

void Supervisor::announce_ready_workers() {
  for (const WorkerProcess::Identity& worker : workers_->take_newly_ready()) {
    status_.note_change();
    log::info(
        "worker.ready",
        {{"worker", worker.pid}, {"slot", worker.slot_index}, {"generation", worker.generation}});
  }
  if (first_generation_ready_ || workers_->ready(current_->number) != current_->places.size()) {
    return;
  }
  first_generation_ready_ = true;
  log::info("master.ready",
            {{"workers", current_->places.size()}, {"generation", current_->number}});
  tell_ready();
}

void Supervisor::kill_stuck_workers() {
  const int64_t now = monotonic_ms();
  const Milliseconds patience = current_->config.watchdog_timeout;
  if (now - last_turn_ms_ > kSuspendedMs) {
    log::warn("master.was_suspended",
              {{"for", std::to_string((now - last_turn_ms_) / 1000) + "s"}});
    stuck_checks_resume_ms_ = now + patience.count();
  }
  last_turn_ms_ = now;
  workers_->escalate(now);
  if (now < stuck_checks_resume_ms_) return;
  for (WorkerProcess* worker : workers_->stuck(now, patience)) {
    const bool is_first = !first_generation_ready_ && stop_ == Stop::no;
    const bool was_starting = worker->is_starting();
    log::error("worker.stuck", {{"worker", worker->identity().pid},
                                {"silence", std::to_string(worker->silence_ms(now)) + "ms"}});
    worker->abort(now);
    if (was_starting && is_first) return abort_start("a worker was not ready in time");
  }
}

// The reports end if the loop hangs or no worker has a beat; then the manager restarts the service.
// A stop extends the manager's own time limit, because drain.timeout may be longer.
void Supervisor::feed_watchdog() {
  const int64_t now = monotonic_ms();
  const int64_t interval = manager_.watchdog_ms().value_or(kStoppingNewsMs);
  if (now - watchdog_fed_ms_ < std::min(interval, kStoppingNewsMs)) return;
  watchdog_fed_ms_ = now;
  if (stop_ != Stop::no || is_leaving()) manager_.notify("EXTEND_TIMEOUT_USEC=10000000");
  if (!manager_.watchdog_ms()) return;
  if (workers_->any_beat_within(now, current_->config.watchdog_timeout)) {
    manager_.notify("WATCHDOG=1");
  }
}

void Supervisor::advance_upgrade() {
  if (!upgrade_) return;
  const auto verdict = upgrade_->verdict();
  if (!verdict) return;
  const Upgrade tried = *std::exchange(upgrade_, std::nullopt);
  if (!verdict->is_ready()) return upgrade_refused(*verdict);
  if (!tried.is_file_unchanged()) {
    reload_wanted_ = true;  // the file has changed since and needs a trial of its own
    return;
  }
  upgrade_refused(tried.execute(handover(), verdict->version));
}

void Supervisor::advance_reload() {
  if (!reload_) return;
  switch (reload_->advance(*this, current_->listeners, *workers_)) {
    case Reload::Progress::running:
      return;
    case Reload::Progress::done:
      return commit_reload(reload_->take_generation());
    case Reload::Progress::failed:
      return abandon_reload(reload_->failure());
  }
}

void Supervisor::begin_wanted_reload() {
  if (!reload_wanted_ || is_reloading() || stop_ != Stop::no) return;
  if (!is_leaving() && is_held()) return;
  reload_wanted_ = false;
  reload_started_us_ = monotonic_us();
  if (is_leaving()) return reload_failed("the service stops", "");
  manager_.notify("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(reload_started_us_));
  log::info("reload.started", {{"config", program_.config_file}});
  if (!begin_upgrade()) begin_reload();
}

void Supervisor::spawn_missing_workers() {
  if (stop_ != Stop::no) return;
  const int64_t now = monotonic_ms();
  for (unsigned i = 0; i < current_->places.size(); ++i) {
    Generation::Place& place = current_->places[i];
    if (place.taken || now < place.not_before_ms) continue;
    const bool was_taken = place.not_before_ms > 0;
    const auto started = start_worker(*current_, i);
    place.taken = started.has_value();
    if (started && was_taken) workers_->count(Counter::workers_respawned);
    if (started) continue;
    log::error("worker.not_started", {{"reason", started.error().detail}});
    place.not_before_ms = now + kTickMs;
  }
}

int Supervisor::wait_limit_ms() const {
  const int64_t now = monotonic_ms();
  int64_t wake = std::min(now + kTickMs, workers_->next_deadline_ms().value_or(INT64_MAX));
  if (stop_ == Stop::no) {
    if (workers_->any_awaited()) wake = std::min(wake, now + kReadyTickMs);
    for (const Generation::Place& place : current_->places) {
      if (!place.taken) wake = std::min(wake, place.not_before_ms);
    }
  }
  if (is_leaving() && stop_ == Stop::no) wake = std::min(wake, leave_at_ms_);
  if (reload_) wake = std::min(wake, reload_->deadline_ms());
  if (upgrade_) wake = std::min(wake, upgrade_->deadline_ms());
  return static_cast<int>(std::max<int64_t>(0, wake - now));
}

void Supervisor::handle(const signalfd_siginfo& signal) {
  switch (static_cast<int>(signal.ssi_signo)) {
    case SIGHUP:
      reload_wanted_ = true;
      status_.note_change();  // `-s reload` sees that the status file is written
      return;
    case SIGQUIT:
      return leave(Stop::graceful);
    case SIGTERM:
      return std::max(stop_, leave_as_) >= Stop::bounded ? stop(Stop::at_once)
                                                         : leave(Stop::bounded);
    case SIGINT:
      return stop(Stop::at_once);
    case SIGUSR1:
      return reopen_logs();
    case SIGUSR2:
      return show_state(signal.ssi_code == SI_QUEUE ? signal.ssi_int : 0);
    default:  // CHLD, or none: the next turn reaps in any case
      return;
  }
}

// --- children ---

Result<Probe> Supervisor::start_check(const Generation& generation) {
  return Probe::start([&] {
    close_in_child(generation);
    return check_as_worker(generation, program_.check_worker_config);
  });
}

Result<void> Supervisor::start_worker(const Generation& generation, unsigned place) {
  const auto cache = take_cache_seat(generation);
  const auto started = workers_->start(generation.number, place, [&](unsigned slot_index) {
    close_in_child(generation);
    return run_as_worker(
        generation,
        {workers_->scoreboard(), slot_index, workers_->lifeline().read_end.get(), cache},
        program_.run_worker);
  });
  if (cache && started) workers_->cache_seats().seat(started->pid, *cache);
  if (cache && !started) workers_->cache_seats().give_back(*cache);
  if (!started) return started.error();
  status_.note_change();
  log::debug(
      "worker.started",
      {{"worker", started->pid}, {"slot", started->slot_index}, {"generation", generation.number}});
  return {};
}

// A worker without a seat serves without the cache.
std::optional<CacheSeatGrant> Supervisor::take_cache_seat(const Generation& generation) {
  if (generation.config.cache.memory == 0) return std::nullopt;
  auto taken = workers_->cache_seats().take(generation.places.size());
  if (taken && *taken) return *std::move(taken);
  log::warn("cache.no_seat", {{"reason", taken ? "too many workers have died or still drain"
                                               : taken.error().detail}});
  return std::nullopt;
}

// Called in a child: closes the descriptors that it must not hold. The most important ones are the
// write end of the lifeline, because an open one prevents EOF, and sockets that only another
// generation serves.
void Supervisor::close_in_child(const Generation& generation) {
  signal_fd_.reset();
  upgrade_.reset();
  workers_->close_in_child();
  if (current_.get() != &generation) current_->close_in_child();
  if (reload_) reload_->close_listeners_unless(generation);
}

// --- SIGHUP ---

// A reload adds a generation to those that still drain. While too many workers drain, it waits.
bool Supervisor::is_held() {
  const size_t draining = workers_->draining();
  const size_t limit = max_draining_workers(*current_, workers_->scoreboard().slot_count());
  const bool is_new = held_reason_.empty();
  std::string reason;
  if (draining >= limit) {
    reason = "it waits until one of " + std::to_string(draining) +
             " draining workers has left (drain.max_workers: " + std::to_string(limit) + ")";
  }
  if (reason != held_reason_) status_.note_change();
  held_reason_ = std::move(reason);
  if (held_reason_.empty()) return false;
  if (is_new) {
    held_since_ms_ = monotonic_ms();
    log::warn("reload.held", {{"draining", draining}, {"max_workers", limit}});
  }
  end_oldest_streams();
  return true;
}

// A held reload that has waited for drain.patience ends the oldest generation. If it is held after
// that, the next one follows.
void Supervisor::end_oldest_streams() {
  const int64_t now = monotonic_ms();
  const Milliseconds patience = current_->config.drain.patience;
  if (patience.count() == 0 || now - held_since_ms_ < patience.count()) return;
  const auto oldest = workers_->oldest_draining();
  if (!oldest) return;
  log::warn("drain.patience_ended", {{"generation", *oldest}, {"draining", workers_->draining()}});
  workers_->interrupt_generation(*oldest, now, kInterruptGrace);
}

bool Supervisor::begin_upgrade() {
  const auto replacement = Upgrade::find_replacement(program_file_);
  if (!replacement) return false;
  const bool is_same = *replacement == *program_file_.identity;
  log::info("upgrade.started", {{"program", program_file_.path},
                                {"version", version()},
                                {"changed", is_same ? "libraries" : "program"}});
  auto begun = Upgrade::begin({program_file_.path, program_.arguments}, *replacement, handover());
  if (!begun) {
    upgrade_refused(refusal(begun.error().detail));
    return true;
  }
  upgrade_.emplace(*std::move(begun));
  status_.note_change();
  return true;
}

void Supervisor::upgrade_refused(const TrialVerdict& verdict) {
  if (!verdict.problems.empty()) {
    for (const std::string& problem : verdict.problems) {
      log::error("config.problem", {{"problem", problem}});
    }
    return reload_failed("the configuration is wrong", first_of(verdict.problems));
  }
  workers_->count(Counter::upgrades_refused);
  log::error("upgrade.refused", {{"program", program_file_.path}, {"reason", verdict.reason}});
  reload_failed("the new program " + program_file_.path + " is refused: " + verdict.reason, "");
}

Handover Supervisor::handover() const {
  Handover::Service service;
  service.pid = ::getpid();
  service.program = program_file_.path;
  service.version = version();
  service.pid_file = pid_file_.path();
  service.notify_socket = manager_.notify_socket();
  service.watchdog_ms = manager_.watchdog_ms();
  service.started_ms = started_ms_;
  service.reload_started_us = reload_started_us_;
  service.reload_wanted = reload_wanted_;
  service.is_ready = first_generation_ready_;
  service.last_generation = last_generation_;
  Handover out = make_handover(std::move(service), *current_, from_manager_, *workers_);
  out.reload = last_reload_;
  out.reopen = last_reopen_;
  return out;
}

void Supervisor::begin_reload() {
  LoadedConfig loaded = load_config_in_effect();
  if (!loaded.ok()) return reload_failed("the configuration is wrong", first_of(loaded.problems));
  auto begun = Reload::begin(++last_generation_, std::move(loaded.config), *this);
  if (!begun) return reload_failed(begun.error().detail, "");
  reload_.emplace(*std::move(begun));
  status_.note_change();
}

void Supervisor::commit_reload(std::unique_ptr<Generation> next) {
  const std::unique_ptr<Generation> old = std::exchange(current_, std::move(next));
  reload_.reset();
  first_generation_ready_ = true;  // also if the first configuration never became ready
  workers_->drain_all_except(current_->number, monotonic_ms(), drain_limit());
  old->remove_files_not_in(current_->listeners);
  if (const auto moved = claim_pid_file(); !moved) {
    log::error("master.pid_file_failed", {{"reason", moved.error().detail}});
  }
  log::info("reload.done", {{"generation", current_->number},
                            {"workers", current_->places.size()},
                            {"addresses", current_->addresses()},
                            {"admin", current_->admin_addresses()}});
  reload_ended("");
}

void Supervisor::abandon_reload(std::string reason) {
  reload_->undo(*workers_, current_->listeners, drain_limit());
  reload_.reset();
  open_current_logs();
  reload_failed(reason, "");
}

// `first_problem` is for readers of the outcome; the log has every problem already.
void Supervisor::reload_failed(const std::string& reason, const std::string& first_problem) {
  log::error("reload.failed", {{"reason", reason}, {"serving_generation", current_->number}});
  reload_ended(first_problem.empty() ? reason : reason + ": " + first_problem);
}

void Supervisor::reload_ended(const std::string& problem) {
  workers_->count(problem.empty() ? Counter::reloads_done : Counter::reloads_failed);
  last_reload_.record(reload_started_us_, problem);
  status_.note_change();
  if (first_generation_ready_) tell_ready();
}

// --- logs and status ---

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
  workers_->send_all(SIGUSR1);
  last_reopen_.record(started_us, problem);
  status_.note_change();
}

// SIGUSR2, with the value by which `-s` asks for a report, or 0.
void Supervisor::show_state(int value) {
  if (const auto report = report_of_signal(value)) {
    const auto written = write_report(pid_file_.path(), *report, body_of(*report, view()));
    if (written) return;
    return log::warn("master.status_not_written", {{"reason", written.error().detail}});
  }
  status_.note_change();  // the figures in the status file are older
  if (value == kWriteStatusOnly) return;
  log_live_state(view());
  workers_->send_all(SIGUSR2);
}

ServiceView Supervisor::view() const {
  std::string_view state = first_generation_ready_ ? "serving" : "starting";
  if (is_reloading()) state = "reloading";
  if (is_leaving()) state = "leaving";
  if (stop_ != Stop::no) state = "stopping";
  return {*current_, *workers_, state, held_reason_, last_reload_, last_reopen_, started_ms_};
}

// After the start and after each reload, also after a failed one: the service serves.
void Supervisor::tell_ready() const {
  manager_.notify("READY=1\nMAINPID=" + std::to_string(::getpid()) +
                  "\nSTATUS=" + summary_of(view()));
}

}  // namespace streamgate
