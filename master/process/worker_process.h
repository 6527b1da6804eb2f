// One worker in the master's view: its process, its slot, and the last order that the master has
// sent to it. Runs in the master.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "common/config.h"
#include "common/scoreboard.h"
#include "master/process/foreign_scoreboard.h"

namespace streamgate {

class WorkerProcess {
 public:
  // The orders, from the weakest to the strongest. A weaker order never follows a stronger one.
  enum class Order { serve, drain, interrupt, abort, kill };

  struct Identity {
    pid_t pid;
    unsigned slot_index;
    uint64_t generation;
    unsigned place;  // index in the places of its generation; a successor gets the same
  };

  // The worker's start and the state of its orders. A program that takes over continues from it.
  struct Standing {
    Order order = Order::serve;
    std::optional<int64_t> deadline_ms;  // of the order
    bool seen_ready = false;
    int64_t started_ms = 0;  // CLOCK_MONOTONIC
  };

  // The slot that a worker of a program with another layout writes to; slot() is a copy of it.
  struct Home {
    std::shared_ptr<ForeignScoreboard> board;
    unsigned slot_index;
  };

  // A worker that was started at `started_ms`.
  WorkerProcess(const Identity& identity, Slot& slot, int64_t started_ms);
  // A worker that the previous program has started.
  WorkerProcess(const Identity& identity, Slot& slot, const Standing& standing,
                std::optional<Home> home);

  const Identity& identity() const { return identity_; }
  const Slot& slot() const { return *slot_; }
  Order order() const { return standing_.order; }
  const Standing& standing() const { return standing_; }
  const std::optional<Home>& home() const { return home_; }
  // Updates slot() if it is a copy.
  void mirror();
  bool is_starting() const;
  bool is_ready() const;
  int64_t age_ms(int64_t now_ms) const;
  // The time since the worker's last beat; never negative.
  int64_t silence_ms(int64_t now_ms) const;

  // True until became_ready() has returned true, unless the worker has an order.
  bool is_awaited() const { return !standing_.seen_ready && order() == Order::serve; }
  // True at the first call after the worker has become ready, and only then.
  bool became_ready();

  void send(int signal_number) const;
  // SIGQUIT; SIGINT after `limit` (none: never), SIGKILL some seconds later.
  void drain(int64_t now_ms, std::optional<Milliseconds> limit);
  // SIGINT, and SIGKILL after `grace`.
  void interrupt(int64_t now_ms, Milliseconds grace);
  // SIGABRT, so that a core dump shows where it hangs, and SIGKILL after 2 s.
  void abort(int64_t now_ms);

  // Sends the next stronger order if the deadline of the last one has passed.
  void escalate(int64_t now_ms);
  std::optional<int64_t> deadline_ms() const { return standing_.deadline_ms; }

 private:
  void give(Order order, int signal_number, std::optional<int64_t> deadline_ms);

  Identity identity_;
  Slot* slot_;  // never null; in shared memory that the worker writes
  Standing standing_;
  std::optional<Home> home_;
};

// How a process ended, for the log: `signal=SEGV`, `status=3`.
struct Ending {
  int wait_status;

  bool by_signal() const;
  bool is_exit(int code) const;
  std::string kind() const;   // `signal` or `status`
  std::string value() const;  // `SEGV` or `3`
};

}  // namespace streamgate
