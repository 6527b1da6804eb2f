// The trial of a program file that is to replace the running one. The program runs as a child,
// receives the Handover, takes everything over in its own process, reads the configuration and
// brings one worker of its own to *ready*. Then it reports that and exits. After any other
// behaviour the program is refused. Runs in the master; master/upgrade/trial_run.h is the other
// end.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "common/result.h"
#include "common/unique_fd.h"
#include "master/upgrade/handover.h"
#include "master/upgrade/trial_verdict.h"

namespace streamgate {

// A program file and the command line of the running program, with which it is executed.
struct Candidate {
  std::string path;
  std::vector<std::string> arguments;  // argv, with the name of the program first
};

class ProgramTrial {
 public:
  static Result<ProgramTrial> start(const Candidate& candidate, const Handover& handover);

  pid_t pid() const { return pid_; }
  // Kills the program, its worker, and every other process of its process group.
  void kill() const;
  // Call it when waitpid() has returned the child's `wait_status`. A program without a verdict is
  // refused; the reason has its exit status and its first lines of output.
  TrialVerdict verdict(int wait_status) const;
  // The verdict on a program that was killed because it took too long.
  TrialVerdict verdict_of_late() const;

 private:
  ProgramTrial(pid_t pid, UniqueFd report, UniqueFd output)
      : pid_(pid), report_(std::move(report)), output_(std::move(output)) {}
  std::string with_output(std::string reason) const;

  pid_t pid_;
  UniqueFd report_;  // its verdict
  UniqueFd output_;  // its stdout and stderr
};

}  // namespace streamgate
