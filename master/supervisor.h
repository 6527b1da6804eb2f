// The master process: keeps the workers of the configuration running and handles signals. Each turn
// of run() reaps children, checks the workers, advances the reload or the upgrade that SIGHUP has
// started, and waits for one signal. reload.h and upgrade.h have the steps of a SIGHUP, workers.h
// the loops over workers, and this class the decisions.
//
// It has no threads and never touches a client, an upstream, TLS or DNS: these do not survive
// fork(). All signals are blocked and read from a signalfd. Runs in the master, except
// close_in_child().
#pragma once

#include <sys/signalfd.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "common/result.h"
#include "common/unique_fd.h"
#include "master/config/loader.h"
#include "master/program.h"
#include "master/reload.h"
#include "master/service/files.h"
#include "master/service/generation.h"
#include "master/service/manager.h"
#include "master/status.h"
#include "master/upgrade.h"
#include "master/workers.h"

namespace streamgate {

class Supervisor final : private Reload::Forker {
 public:
  explicit Supervisor(Program program) : program_(std::move(program)) {}

  // Serves until a signal stops it. Returns the exit code of the process: 1 if the service could
  // not start, otherwise 0. Does not return in a worker.
  int run();

 private:
  enum class Stop { no, graceful, bounded, at_once };  // each stricter than the one before

  // Start and stop: start_and_stop.cc.
  Result<void> start();
  Result<void> take_over(UniqueFd state);  // from the program that ran in this process before
  LoadedConfig load_config_in_effect() const;
  Result<void> claim_pid_file();
  int fail_start(const std::string& reason);
  void abort_start(const std::string& reason);
  void stop(Stop how);
  void leave(Stop how);  // stop(), after drain.ready_delay
  void stop_when_left();
  void end_upgrade();
  int stop_all_workers();
  void tell_workers_to_stop();
  std::optional<Milliseconds> drain_limit() const;  // drain.timeout; none: unlimited

  // The steps of the loop, in its order.
  void reap_exited_children();
  void announce_ready_workers();
  void kill_stuck_workers();
  void feed_watchdog();
  void advance_upgrade();
  void advance_reload();
  void begin_wanted_reload();
  void spawn_missing_workers();
  void handle(const signalfd_siginfo& signal);

  // Parts of the steps.
  void reap(const WorkerProcess& worker, const Ending& ending);
  Milliseconds vacate_place(const WorkerProcess& worker, const Ending& ending);
  Result<Probe> start_check(const Generation& generation) override;
  Result<void> start_worker(const Generation& generation, unsigned place) override;
  std::optional<CacheSeatGrant> take_cache_seat(const Generation& generation);
  void close_in_child(const Generation& generation);
  int wait_limit_ms() const;
  bool is_leaving() const { return leave_as_ != Stop::no; }
  bool is_reloading() const { return reload_.has_value() || upgrade_.has_value(); }
  bool is_held();
  void end_oldest_streams();
  bool begin_upgrade();  // true: it has begun or failed, so this program does not reload
  void upgrade_refused(const TrialVerdict& verdict);
  Handover handover() const;
  void begin_reload();
  void commit_reload(std::unique_ptr<Generation> next);
  void abandon_reload(std::string reason);
  void reload_failed(const std::string& reason, const std::string& first_problem);
  void reload_ended(const std::string& problem);
  std::string open_current_logs() const;  // returns and logs the problem; empty: none
  void reopen_logs();
  void show_state(int value);
  ServiceView view() const;
  void tell_ready() const;

  Program program_;
  ProgramFile program_file_;
  UniqueFd signal_fd_;
  std::optional<Workers> workers_;       // set, with current_, by start() or take_over()
  std::unique_ptr<Generation> current_;  // the generation that serves
  std::optional<Upgrade> upgrade_;       // never at the same time as reload_
  std::optional<Reload> reload_;
  PidFile pid_file_;
  StatusPublisher status_;
  ServiceManager manager_;
  Listeners from_manager_;  // bound by the service manager; if there are any, they replace `listen`
  Outcome last_reload_;
  Outcome last_reopen_;
  bool reload_wanted_ = false;
  std::string held_reason_;       // why the wanted reload waits; empty: it does not
  uint64_t last_generation_ = 0;  // a number is never used twice
  bool first_generation_ready_ = false;
  Stop stop_ = Stop::no;
  Stop leave_as_ = Stop::no;  // the stop that follows drain.ready_delay; no: none does
  int exit_code_ = 0;
  int64_t started_ms_ = 0;  // these are CLOCK_MONOTONIC
  int64_t held_since_ms_ = 0;
  int64_t leave_at_ms_ = 0;
  int64_t reload_started_us_ = 0;
  int64_t watchdog_fed_ms_ = 0;
  int64_t last_turn_ms_ = 0;
  int64_t stuck_checks_resume_ms_ = 0;  // until then no worker counts as stuck
};

}  // namespace streamgate
