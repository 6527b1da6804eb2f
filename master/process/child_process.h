// Forking, done once and right: what every child of the master goes through.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <functional>
#include <string>

#include "common/result.h"
#include "common/unique_fd.h"

namespace streamgate {

// The signals that the master takes from its signalfd. They are blocked in the master from the
// start, and still blocked when a child begins.
sigset_t master_signals();
void restore_default_handlers();  // of just those signals

// Runs `body` in a forked child, which exits with what it returns; the pid in the master. The child
// begins with default handlers of those signals and with the master's signal mask.
Result<pid_t> fork_child(const std::function<int()>& body);

// A short-lived child that judges a configuration with the worker's own check, so that what the
// check leaves behind never lives in the master.
class Probe {
 public:
  // `body` runs in the child; its error's detail comes back through a pipe.
  static Result<Probe> start(const std::function<Result<void>()>& body);

  pid_t pid() const { return pid_; }
  // To be called once the child has been reaped with this status.
  Result<void> outcome(int wait_status) const;

 private:
  Probe(pid_t pid, UniqueFd report) : pid_(pid), report_(std::move(report)) {}

  pid_t pid_;
  UniqueFd report_;
};

}  // namespace streamgate
