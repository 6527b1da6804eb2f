// A reload in progress. Its steps after a SIGHUP, in this order:
//
//   outline     user, certificates and places of the new generation; nothing is bound yet
//   check       a child runs the worker's own check of the configuration, in kProbeLimitMs
//   bind        binds new addresses; an address that stays keeps its listener
//   open logs   before the fork, because workers inherit the master's log
//   start       forks one worker for each place
//   wait        until all of them are ready, in kReadyLimitMs
//
// begin() takes the first two steps. advance(), called once in each turn of the Supervisor's loop,
// takes the others when they are due. After `done` the Supervisor commits: the new generation
// replaces the old one, which drains. After `failed` it calls undo(), and the old generation
// continues unchanged. Runs in the master.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "common/config.h"
#include "common/result.h"
#include "master/process/child_process.h"
#include "master/service/generation.h"
#include "master/service/listener.h"
#include "master/workers.h"

namespace streamgate {

class Reload {
 public:
  enum class Progress { running, done, failed };

  // Forks children for the reload. Implemented by the Supervisor, which knows the descriptors that
  // a child must close.
  class Forker {
   public:
    // A child that runs the worker's check of the generation's configuration.
    virtual Result<Probe> start_check(const Generation& generation) = 0;
    virtual Result<void> start_worker(const Generation& generation, unsigned place) = 0;

   protected:
    ~Forker() = default;
  };

  static Result<Reload> begin(uint64_t number, Config config, Forker& forker);

  // True if the child was the check. The next advance() uses its outcome.
  bool on_child_exit(pid_t pid, int wait_status);
  // Makes the next advance() fail, unless it has failed already.
  void fail(std::string reason);

  // `live`: the listeners of the generation that serves. `workers`: those of every generation.
  Progress advance(Forker& forker, const Listeners& live, const Workers& workers);
  const std::string& failure() const { return failure_; }  // after Progress::failed

  // Ends the check and the new workers, and removes the files of what was bound. `drain_limit`:
  // for new workers that were ready; none: unlimited.
  void undo(Workers& workers, const Listeners& live, std::optional<Milliseconds> drain_limit);
  // After Progress::done.
  std::unique_ptr<Generation> take_generation() { return std::move(generation_); }

  // Whether the reload starts this generation.
  bool starts(uint64_t generation) const { return generation_->number == generation; }
  int64_t deadline_ms() const { return deadline_ms_; }  // of the check, then of the start
  // Called in a child: closes the listeners, unless the child serves this very generation.
  void close_listeners_unless(const Generation& served);

 private:
  Reload(std::unique_ptr<Generation> generation, Probe check);
  Result<void> start_generation(Forker& forker, const Listeners& live);

  std::unique_ptr<Generation> generation_;
  std::optional<Probe> check_;       // until its outcome is known
  std::optional<int> check_status_;  // of waitpid()
  std::string failure_;
  int64_t deadline_ms_;
};

// A reload is held while at least this many workers drain: drain.max_workers, by default 8 for each
// place. The scoreboard limits it as well: it needs room for this generation and the next.
size_t max_draining_workers(const Generation& current, size_t slots);

}  // namespace streamgate
