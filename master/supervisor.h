// The master process: it keeps the workers that the configuration asks for alive, and does what
// signals tell it. `run` is the table of contents: one signal in, one decision out.
//
// It never touches a client, an upstream, TLS or DNS, and has no threads: nothing that survives
// fork() badly. All signals are blocked and read from a signalfd. Everything here runs in the
// master, the one method that says otherwise excepted.
#pragma once

#include <sys/signalfd.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/config.h"
#include "common/heritage.h"
#include "common/result.h"
#include "common/scoreboard.h"
#include "common/unique_fd.h"
#include "master/config/loader.h"
#include "master/process/child_process.h"
#include "master/process/worker_process.h"
#include "master/program.h"
#include "master/service/files.h"
#include "master/service/generation.h"
#include "master/service/listener.h"
#include "master/service/manager.h"
#include "master/service/status_report.h"
#include "master/upgrade/handover.h"
#include "master/upgrade/program_file.h"
#include "master/upgrade/program_trial.h"
#include "master/upgrade/trial_verdict.h"

namespace streamgate {

class Supervisor {
 public:
  explicit Supervisor(Program program) : program_(std::move(program)) {}

  // Serves until told to stop. The exit code of the process: 0 after a stop by signal, 1 if the
  // service could not start. Never returns in a worker.
  int run();

 private:
  // Each heavier than the one before.
  enum class Stop { no, graceful, bounded, at_once };

  // A generation on its way to replace current_.
  struct Reload {
    std::unique_ptr<Generation> generation;
    std::optional<Probe> probe;  // set while the worker's own check runs; then workers start
    int64_t deadline_ms;         // of the check, then of the start
  };

  // A trial of the program file that is to replace this one.
  struct Upgrade {
    ProgramTrial trial;
    FileIdentity identity;  // of the file that is tried
    int64_t deadline_ms;
  };

  // Start and stop: supervisor.cc
  Result<void> start();
  Result<void> watch_signals();
  Result<void> adopt_manager_sockets();
  LoadedConfig load_config_in_effect() const;
  Result<void> claim_pid_file();
  int stop_all_workers();
  void stop(Stop how);
  void tell_workers_to_stop();
  std::optional<Milliseconds> drain_limit() const;  // drain.timeout; none: streams have no limit

  // The loop's steps, in its order: supervisor.cc
  void reap_exited_workers();
  void announce_ready_workers();
  void kill_stuck_workers();
  void spawn_missing_workers();
  signalfd_siginfo wait_for_signal();
  void handle(const signalfd_siginfo& signal);

  void reap(const WorkerProcess& worker, int wait_status);
  void log_death(const WorkerProcess& worker, const Ending& ending,
                 const std::string& replaced) const;
  Milliseconds vacate_place(const WorkerProcess& worker, const Ending& ending);
  void abort_start(const std::string& reason);
  void spawn_workers_of(Generation& generation);
  Result<void> spawn(Generation& generation, unsigned place);
  // Runs in the worker process.
  int become_worker(const Generation& generation, unsigned slot_index);
  void keep_only(const Generation& generation);
  bool all_ready(const Generation& generation) const;
  int wait_limit_ms() const;

  // What others learn of it: supervisor_status.cc
  void publish_state();
  void feed_watchdog();
  StatusReport report();
  std::string_view state_name() const;
  std::string summary() const;
  void tell_ready() const;
  // Those of current_. What went wrong, which is logged, and the old ones stay; empty: nothing.
  std::string open_current_logs() const;
  void reopen_logs();
  void log_state() const;

  // Reload: supervisor_reload.cc
  void begin_wanted_reload();
  bool is_reloading() const { return reload_.has_value() || upgrade_.has_value(); }
  bool is_held();
  size_t draining_workers() const;
  size_t most_draining_workers() const;
  void begin_reload();
  void finish_reload_if_ready();
  void judge_probe(int wait_status);
  void start_new_generation();
  void commit_reload();
  void abandon_reload(const std::string& reason);
  void reload_failed(const std::string& reason, const std::string& detail);
  void reload_ended(const std::string& problem);

  // Upgrade: supervisor_upgrade.cc
  // True if the reload goes on in another program, or has failed because of it.
  bool begin_upgrade();
  void judge_trial(int wait_status);
  void end_late_trial();
  void execute_upgrade(const std::string& to_version);
  void abandon_upgrade(const std::string& reason);
  void upgrade_refused(const TrialVerdict& verdict);
  Handover handover() const;
  void hand_over_generation(Handover& out) const;
  void hand_over_workers(Handover& out) const;
  Result<void> take_over(UniqueFd state);

  Program program_;
  ProgramFile program_file_;
  std::optional<Scoreboard> scoreboard_;
  UniqueFd signal_fd_;
  UniqueFd lifeline_read_;   // handed to workers
  UniqueFd lifeline_write_;  // held by the master alone: its end is the master's end
  std::unique_ptr<Generation> current_;
  std::optional<Upgrade> upgrade_;  // never beside a reload_
  std::optional<Reload> reload_;
  std::vector<WorkerProcess> workers_;  // of every generation that still has some
  PidFile pid_file_;
  StatusFile status_file_;
  ServiceManager manager_;
  Listeners from_manager_;  // from the service manager; if there are some, they replace `listen`
  Outcome last_reload_;
  Outcome last_reopen_;
  int64_t reload_started_us_ = 0;
  int64_t started_ms_ = 0;
  int64_t watchdog_fed_ms_ = 0;
  bool state_changed_ = true;          // since publish_state()
  bool status_file_troubled_ = false;  // and said so
  uint64_t last_generation_ = 0;       // numbers are never used twice
  bool reload_wanted_ = false;
  std::string held_reason_;  // why the wanted reload does not begin; empty: it may
  bool first_generation_ready_ = false;
  Stop stop_ = Stop::no;
  int exit_code_ = 0;
  int64_t last_turn_ms_ = 0;
  int64_t watchdog_resumes_ms_ = 0;  // no worker is judged by its beat before
};

}  // namespace streamgate
