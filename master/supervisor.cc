#include "master/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "common/log.h"
#include "common/version.h"
#include "master/config/listen.h"
#include "master/service/limits.h"
#include "master/service/running_service.h"
#include "master/upgrade/inheritance.h"

namespace streamgate {
namespace {

constexpr int kExitFailed = 1;
constexpr int64_t kTickMs = 1'000;    // the watchdog looks this often
constexpr int64_t kReadyLookMs = 10;  // how often, while a worker starts
constexpr int64_t kAsleepMs = 3'000;  // a loop turn longer than this: we were suspended

Error failed(const char* what) {
  return {Reason::internal, std::string(what) + ": " + std::strerror(errno)};
}

// Every connection is two descriptors; the soft limit of 1024 is there for select().
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// What is opened later must not be taken for stdout or stderr by somebody who writes there.
void open_standard_descriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", O_RDWR) < 0) return;
  }
}

std::string after(Milliseconds delay) {
  if (delay.count() == 0) return "at once";
  return "in " + std::to_string(delay.count() / 1000) + "s";
}

// Into the log, and for whoever sits at the terminal, who would otherwise see nothing.
void complain_about_start(const std::string& reason) {
  log::error("master.start_failed", {{"reason", reason}});
  if (!log::goes_to_stderr()) std::fprintf(stderr, "streamgate: %s\n", reason.c_str());
}

}  // namespace

int Supervisor::run() {
  const auto started = program_.state ? take_over(UniqueFd(*program_.state)) : start();
  if (!started) {
    complain_about_start(started.error().detail);
    if (current_) current_->remove_files_not_in({});
    return kExitFailed;
  }
  while (stop_ == Stop::no) {
    reap_exited_workers();  // a crash fills its place again, a failed start undoes the reload
    announce_ready_workers();
    kill_stuck_workers();  // the beat is too old, unless we ourselves were asleep
    feed_watchdog();
    begin_wanted_reload();
    end_late_trial();
    finish_reload_if_ready();  // the new generation is ready: the old one drains
    spawn_missing_workers();
    publish_state();
    handle(wait_for_signal());
  }
  return stop_all_workers();
}

// ---- start and stop

Result<void> Supervisor::start() {
  open_standard_descriptors();
  started_ms_ = monotonic_ms();
  program_file_ = running_program_file();
  manager_ = ServiceManager::from_environment();
  if (auto taken = adopt_manager_sockets(); !taken) return taken;
  LoadedConfig loaded = load_config_in_effect();
  if (!loaded.ok()) return Error{Reason::internal, "the configuration is wrong"};

  if (auto watching = watch_signals(); !watching) return watching;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return failed("pipe");
  lifeline_read_.reset(ends[0]);
  lifeline_write_.reset(ends[1]);
  raise_descriptor_limit();
  auto scoreboard = Scoreboard::create(kSlots);
  if (!scoreboard) return scoreboard.error();
  scoreboard_.emplace(*std::move(scoreboard));

  auto account = find_account(loaded.config.user);
  if (!account) return account.error();
  if (auto opened = open_log_files(loaded.config.log, *account); !opened) return opened;
  auto generation =
      Generation::prepare(++last_generation_, std::move(loaded.config), from_manager_);
  if (!generation) return generation.error();
  current_ = std::make_unique<Generation>(*std::move(generation));
  if (auto written = claim_pid_file(); !written) return written;
  log::info("master.started", {{"version", version()},
                               {"workers", current_->places.size()},
                               {"addresses", current_->addresses()},
                               {"config", program_.config_file}});
  last_turn_ms_ = monotonic_ms();
  return {};
}

Result<void> Supervisor::watch_signals() {
  const sigset_t signals = master_signals();
  // A signal that the parent process ignored (nohup) would never reach the signalfd.
  restore_default_handlers();
  // Exactly these: the program that this one replaces has blocked every other one as well.
  ::sigprocmask(SIG_SETMASK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);  // a peer that closes its end is an errno, not a reason to die
  signal_fd_.reset(::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!signal_fd_.valid()) return failed("signalfd");
  return {};
}

Result<void> Supervisor::adopt_manager_sockets() {
  for (const int fd : manager_.sockets()) {
    auto listener = Listener::adopt(fd);
    if (!listener) return listener.error();
    from_manager_.push_back(std::make_shared<const Listener>(*std::move(listener)));
  }
  return {};
}

LoadedConfig Supervisor::load_config_in_effect() const {
  LoadedConfig loaded = load_config(program_.config_file, program_.listen_addr);
  for (const std::string& problem : loaded.problems) {
    log::error("config.problem", {{"problem", problem}});
  }
  if (from_manager_.empty()) return loaded;
  loaded.config.listen = listen_at(addresses_of(from_manager_), loaded.config.listen);
  return loaded;
}

int Supervisor::stop_all_workers() {
  log::info("master.stopping", {{"workers", workers_.size()}});
  scoreboard_->board().service_stopping = true;
  for (const WorkerProcess& worker : workers_) {
    if (worker.home()) worker.home()->board->say_service_stops();
  }
  if (upgrade_) abandon_upgrade("the service stops");
  if (reload_) abandon_reload("the service stops");
  // Workers still hold the sockets; the last of them to let go ends the queue.
  current_->remove_files_not_in({});
  current_->listeners.clear();
  from_manager_.clear();
  state_changed_ = true;
  manager_.notify("STOPPING=1");
  tell_workers_to_stop();
  while (!workers_.empty()) {
    reap_exited_workers();
    kill_stuck_workers();
    publish_state();
    feed_watchdog();
    if (!workers_.empty()) handle(wait_for_signal());
  }
  status_file_.remove();
  pid_file_.remove();
  log::info("master.stopped", {{"status", exit_code_}});
  return exit_code_;
}

void Supervisor::stop(Stop how) {
  if (how <= stop_) return;
  const bool stopping_already = stop_ != Stop::no;
  stop_ = how;
  if (stopping_already) tell_workers_to_stop();
}

void Supervisor::tell_workers_to_stop() {
  const int64_t now = monotonic_ms();
  for (WorkerProcess& worker : workers_) {
    if (stop_ == Stop::at_once) {
      worker.leave(now, kLeaveGrace);
    } else if (stop_ == Stop::bounded) {
      worker.drain(now, current_->config.drain.stop_timeout);
    } else {
      worker.drain(now, drain_limit());
    }
  }
}

std::optional<Milliseconds> Supervisor::drain_limit() const {
  const Milliseconds limit = current_->config.drain.timeout;
  return limit.count() > 0 ? std::optional(limit) : std::nullopt;
}

void Supervisor::abort_start(const std::string& reason) {
  complain_about_start(reason);
  exit_code_ = kExitFailed;
  stop(Stop::at_once);
}

// Two services over one pid file would stop, reload and remove each other's.
Result<void> Supervisor::claim_pid_file() {
  const std::string& path = current_->config.pid_file;
  if (const auto other = serving_master(path)) {
    return Error{Reason::internal, path + " belongs to the service of process " +
                                       std::to_string(*other) +
                                       ", which runs; every service needs one of its own"};
  }
  return pid_file_.move_to(path);
}

// ---- the loop's steps

void Supervisor::reap_exited_workers() {
  for (WorkerProcess& worker : workers_) worker.mirror();
  int wait_status = 0;
  for (pid_t pid = 0; (pid = ::waitpid(-1, &wait_status, WNOHANG)) > 0;) {
    if (reload_ && reload_->probe && reload_->probe->pid() == pid) {
      judge_probe(wait_status);
      continue;
    }
    if (upgrade_ && upgrade_->trial.pid() == pid) {
      judge_trial(wait_status);
      continue;
    }
    const auto dead = std::find_if(workers_.begin(), workers_.end(), [pid](const auto& worker) {
      return worker.identity().pid == pid;
    });
    if (dead == workers_.end()) continue;  // an abandoned probe
    WorkerProcess worker = *dead;
    worker.mirror();  // its last figures
    workers_.erase(dead);
    state_changed_ = true;
    reap(worker, wait_status);
    scoreboard_->retire(worker.identity().slot_index);
  }
}

void Supervisor::reap(const WorkerProcess& worker, int wait_status) {
  const Ending ending{wait_status};
  const bool expected = worker.order() != WorkerProcess::Order::serve && ending.is_exit(kExitClean);
  const uint64_t number = worker.identity().generation;
  const bool cannot_begin = !first_generation_ready_ && ending.is_exit(kExitCannotStart);
  const bool is_missed = stop_ == Stop::no && current_->number == number && !cannot_begin;
  const Milliseconds delay = is_missed ? vacate_place(worker, ending) : Milliseconds(0);
  if (expected) {
    log::info("worker.left", {{"worker", worker.identity().pid}, {"generation", number}});
  } else {
    log_death(worker, ending, is_missed ? after(delay) : "no");
  }
  if (stop_ != Stop::no) return;
  if (reload_ && reload_->generation->number == number) {
    return abandon_reload("worker " + std::to_string(worker.identity().pid) + " ended with " +
                          ending.kind() + " " + ending.value() + " before all were ready");
  }
  if (cannot_begin && current_->number == number) {
    abort_start("a worker could not start; its log lines say why");
  }
}

// One line for each death, with what becomes of its place: a crash loop must not flood the log.
void Supervisor::log_death(const WorkerProcess& worker, const Ending& ending,
                           const std::string& replaced) const {
  const auto& [pid, slot, generation, place] = worker.identity();
  const std::string age = std::to_string(worker.age_ms(monotonic_ms()) / 1000) + "s";
  const char* hint = "see what it logged last";
  // A KILL that did not come from here is mostly the kernel's.
  if (ending.value() == "KILL") {
    hint = worker.order() == WorkerProcess::Order::kill ? "it did not react to what came before"
                                                        : "perhaps out of memory";
  }
  log::error("worker.died", {{"worker", pid},
                             {ending.kind(), ending.value()},
                             {"slot", slot},
                             {"generation", generation},
                             {"age", age},
                             {"exchanges_lost", worker.slot().exchanges_now.load()},
                             {"replaced", replaced},
                             {"hint", hint}});
}

// spawn_missing_workers() fills it again, after what this returns.
Milliseconds Supervisor::vacate_place(const WorkerProcess& worker, const Ending& ending) {
  const int64_t now = monotonic_ms();
  Generation::Place& place = current_->places[worker.identity().place];
  const auto death = ending.is_exit(kExitCannotStart) ? RespawnPolicy::Death::could_not_start
                                                      : RespawnPolicy::Death::crashed;
  const Milliseconds delay = place.policy.delay_after(death, Milliseconds(worker.age_ms(now)));
  place.taken = false;
  place.not_before_ms = now + delay.count();
  return delay;
}

void Supervisor::announce_ready_workers() {
  for (WorkerProcess& worker : workers_) {
    if (!worker.became_ready()) continue;
    state_changed_ = true;
    log::info("worker.ready", {{"worker", worker.identity().pid},
                               {"slot", worker.identity().slot_index},
                               {"generation", worker.identity().generation}});
  }
  if (first_generation_ready_ || !all_ready(*current_)) return;
  first_generation_ready_ = true;
  log::info("master.ready",
            {{"workers", current_->places.size()}, {"generation", current_->number}});
  tell_ready();
}

void Supervisor::kill_stuck_workers() {
  const int64_t now = monotonic_ms();
  const int64_t patience = current_->config.watchdog_timeout.count();
  if (now - last_turn_ms_ > kAsleepMs) {
    log::warn("master.was_suspended",
              {{"for", std::to_string((now - last_turn_ms_) / 1000) + "s"}});
    watchdog_resumes_ms_ = now + patience;
  }
  last_turn_ms_ = now;
  for (WorkerProcess& worker : workers_) {
    worker.escalate(now);
    if (now < watchdog_resumes_ms_ || worker.order() > WorkerProcess::Order::leave) continue;
    const bool starting = worker.slot().state.load() == WorkerState::starting;
    if (starting && worker.age_ms(now) < kReadyLimitMs) continue;
    if (!starting && worker.silence_ms(now) < patience) continue;
    const bool is_first = !first_generation_ready_ && stop_ == Stop::no;
    log::error("worker.stuck", {{"worker", worker.identity().pid},
                                {"silence", std::to_string(worker.silence_ms(now)) + "ms"}});
    worker.abort(now);
    if (starting && is_first) return abort_start("a worker was not ready in time");
  }
}

void Supervisor::spawn_missing_workers() {
  if (stop_ == Stop::no) spawn_workers_of(*current_);
}

void Supervisor::spawn_workers_of(Generation& generation) {
  const int64_t now = monotonic_ms();
  for (unsigned i = 0; i < generation.places.size(); ++i) {
    Generation::Place& place = generation.places[i];
    if (place.taken || now < place.not_before_ms) continue;
    const auto spawned = spawn(generation, i);
    place.taken = spawned.has_value();
    if (spawned) continue;
    log::error("worker.not_started", {{"reason", spawned.error().detail}});
    place.not_before_ms = now + kTickMs;
  }
}

Result<void> Supervisor::spawn(Generation& generation, unsigned place) {
  const auto slot_index = scoreboard_->take();
  if (!slot_index) return Error{Reason::internal, "too many workers are still draining"};
  const auto pid = fork_child([&] { return become_worker(generation, *slot_index); });
  if (!pid) {
    scoreboard_->retire(*slot_index);
    return pid.error();
  }
  Slot& slot = scoreboard_->slots()[*slot_index];
  slot.pid = *pid;
  slot.generation = generation.number;
  state_changed_ = true;
  workers_.emplace_back(WorkerProcess::Identity{*pid, *slot_index, generation.number, place}, slot);
  log::debug("worker.started",
             {{"worker", *pid}, {"slot", *slot_index}, {"generation", generation.number}});
  return {};
}

int Supervisor::become_worker(const Generation& generation, unsigned slot_index) {
  keep_only(generation);
  if (generation.account) {
    if (const auto became = become(*generation.account); !became) {
      log::error("worker.cannot_start", {{"reason", became.error().detail}});
      return kExitCannotStart;
    }
  }
  const Heritage heritage{.config = generation.config,
                          .listeners = generation.sockets,
                          .ticket_key = generation.ticket_key,
                          .slot_index = slot_index,
                          .generation = generation.number,
                          .slots = scoreboard_->slots(),
                          .service_stopping = &scoreboard_->board().service_stopping,
                          .board = &scoreboard_->board(),
                          .lifeline_fd = lifeline_read_.get()};
  return program_.run_worker(heritage);
}

// Closes what a child must not hold: above all the write end of the lifeline, whose EOF would never
// come, and sockets that only another generation serves.
void Supervisor::keep_only(const Generation& generation) {
  signal_fd_.reset();
  lifeline_write_.reset();
  upgrade_.reset();
  workers_.clear();  // with the scoreboards of other programs
  scoreboard_->close_file();
  if (current_.get() != &generation) current_->listeners.clear();
  if (reload_ && reload_->generation.get() != &generation) reload_->generation->listeners.clear();
}

bool Supervisor::all_ready(const Generation& generation) const {
  const auto ready = std::count_if(workers_.begin(), workers_.end(), [&](const auto& worker) {
    return worker.identity().generation == generation.number && worker.is_ready();
  });
  return ready == std::ssize(generation.places);
}

int Supervisor::wait_limit_ms() const {
  const int64_t now = monotonic_ms();
  int64_t wake = now + kTickMs;
  for (const WorkerProcess& worker : workers_) {
    wake = std::min(wake, worker.deadline_ms().value_or(wake));
    if (worker.is_awaited() && stop_ == Stop::no) wake = std::min(wake, now + kReadyLookMs);
  }
  for (const Generation::Place& place : current_->places) {
    if (!place.taken && stop_ == Stop::no) wake = std::min(wake, place.not_before_ms);
  }
  if (reload_) wake = std::min(wake, reload_->deadline_ms);
  if (upgrade_) wake = std::min(wake, upgrade_->deadline_ms);
  return static_cast<int>(std::max<int64_t>(0, wake - now));
}

// With a number of 0 if none came in time.
signalfd_siginfo Supervisor::wait_for_signal() {
  signalfd_siginfo info{};
  pollfd waiting{signal_fd_.get(), POLLIN, 0};
  if (::poll(&waiting, 1, wait_limit_ms()) <= 0) return info;
  if (::read(signal_fd_.get(), &info, sizeof info) != sizeof info) return {};
  return info;
}

void Supervisor::handle(const signalfd_siginfo& signal) {
  switch (static_cast<int>(signal.ssi_signo)) {
    case SIGHUP:
      reload_wanted_ = true;
      return;
    case SIGQUIT:
      return stop(Stop::graceful);
    case SIGTERM:
      return stop(stop_ >= Stop::bounded ? Stop::at_once : Stop::bounded);
    case SIGINT:
      return stop(Stop::at_once);
    case SIGUSR1:
      return reopen_logs();
    case SIGUSR2:
      state_changed_ = true;  // the figures in the status file are older
      if (signal.ssi_code == SI_QUEUE && signal.ssi_int == kWriteStatusOnly) return;
      return log_state();
    default:  // CHLD, or none: the next turn looks at everything anyway
      return;
  }
}

}  // namespace streamgate
