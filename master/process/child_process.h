// Forking: every child of the master is made here.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <functional>

#include "common/result.h"
#include "common/unique_fd.h"

namespace streamgate {

// The signals that the master takes from its signalfd. They are blocked in the master from the
// start, and still blocked when a child begins.
sigset_t master_signals();
void restore_default_handlers();  // of master_signals()

// Runs `body` in a forked child and exits there with its return value. Returns the pid in the
// master. The child begins with the default handlers of master_signals() and with the master's
// signal mask.
Result<pid_t> fork_child(const std::function<int()>& body);

// A short-lived child that runs the worker's own check of a configuration. The memory and the
// descriptors that the check does not release (OpenSSL's, for example) never get into the master.
class Probe {
 public:
  // `body` runs in the child. The detail of its error comes back through a pipe.
  static Result<Probe> start(const std::function<Result<void>()>& body);

  pid_t pid() const { return pid_; }
  // Call it when waitpid() has returned the child's `wait_status`.
  Result<void> outcome(int wait_status) const;

 private:
  Probe(pid_t pid, UniqueFd report) : pid_(pid), report_(std::move(report)) {}

  pid_t pid_;
  UniqueFd report_;
};

}  // namespace streamgate
