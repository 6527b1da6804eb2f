// The trial of a program file that is to replace the running one: it is run as a child that
// receives the Handover, takes everything over in its own process, reads the configuration and
// brings one worker of its own to *ready*. Then it says so, and is gone. Whatever else it does is a
// reason to refuse it. Runs in the master; master/upgrade/trial_run.h is the other end.
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

// A program to be executed with the command line that the running one has.
struct Candidate {
  std::string path;
  std::vector<std::string> arguments;  // with the name of the program at their front
};

class ProgramTrial {
 public:
  static Result<ProgramTrial> start(const Candidate& candidate, const Handover& handover);

  pid_t pid() const { return pid_; }
  // The program, its worker, and whatever else it has started.
  void kill() const;
  // To be called once the child has been reaped with this status. A program that says nothing is
  // refused with how it ended and what it had to complain.
  TrialVerdict verdict(int wait_status) const;
  // The same for one that took too long and is still there.
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
