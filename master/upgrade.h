// An upgrade in progress: the steps after a SIGHUP if another program file is at the path that the
// service was started from, or a shared library has been replaced.
//
//   find         the file at that path, or a library, must differ from the running program
//   trial        the file runs as a child and brings one worker of its own to ready, in
//                kTrialLimitMs (master/upgrade/program_trial.h)
//   find again   the file must not have changed since the trial
//   execute      execve() in this process, with the Handover in a memory file
//   take over    in the new program: Supervisor::take_over(), which continues with the reload
//
// begin() takes the first step of a trial, verdict() is asked once in each turn of the Supervisor's
// loop. A refused program changes nothing. execve() keeps the process id, the children, the pending
// signals and the descriptors of the Handover. Runs in the master.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "common/result.h"
#include "common/unique_fd.h"
#include "master/service/generation.h"
#include "master/service/listener.h"
#include "master/upgrade/handover.h"
#include "master/upgrade/program_file.h"
#include "master/upgrade/program_trial.h"
#include "master/upgrade/trial_verdict.h"
#include "master/workers.h"

namespace streamgate {

class Upgrade {
 public:
  // The file to execute: the one that has replaced the program file of `running`, or the same one
  // if a library has been replaced. None if nothing has changed.
  static std::optional<FileIdentity> find_replacement(const ProgramFile& running);

  // Starts the trial of a file found by find_replacement().
  static Result<Upgrade> begin(Candidate candidate, const FileIdentity& identity,
                               const Handover& handover);

  // True if the child was the trial; verdict() then has one.
  bool on_child_exit(pid_t pid, int wait_status);
  // None while the trial runs. At its deadline the trial is killed and the program refused.
  std::optional<TrialVerdict> verdict() const;
  // Whether the file at the path has not changed since the trial.
  bool is_file_unchanged() const;
  // Replaces the program of this process. Returns, with the refusal, only if that fails.
  TrialVerdict execute(const Handover& handover, const std::string& to_version) const;
  void kill_trial() const { trial_.kill(); }

  int64_t deadline_ms() const { return deadline_ms_; }

 private:
  Upgrade(Candidate candidate, const FileIdentity& identity, ProgramTrial trial);

  Candidate candidate_;
  FileIdentity identity_;
  ProgramTrial trial_;
  std::optional<int> trial_status_;  // of waitpid()
  int64_t deadline_ms_;
};

// The Handover of the service. The caller fills in the outcomes. `from_manager`: those of the
// generation's listeners that the service manager has bound.
Handover make_handover(Handover::Service service, const Generation& generation,
                       const Listeners& from_manager, const Workers& workers);

// In the new program: the Handover in the memory file `state`, written by the program that ran in
// this process before.
Result<Handover> receive_handover(UniqueFd state);

}  // namespace streamgate
