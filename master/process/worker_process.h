// One worker as the master sees it: its process, its slot, and how far it has been told to go.
// Everything here runs in the master.
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
  // What the worker has been told, each heavier than the one before. It never goes back.
  enum class Order { serve, drain, leave, abort, kill };

  struct Identity {
    pid_t pid;
    unsigned slot_index;
    uint64_t generation;
    unsigned place;  // which of its generation's workers: where its successor will stand
  };

  // How far it has come.
  struct Standing {
    Order order = Order::serve;
    std::optional<int64_t> deadline_ms;  // of the order
    bool seen_ready = false;
  };

  // Where the worker of a program with another scoreboard writes; its slot here is a copy.
  struct Home {
    std::shared_ptr<ForeignScoreboard> board;
    unsigned slot_index;
  };

  WorkerProcess(const Identity& identity, Slot& slot);
  // One that another program has started: it goes on where it stands.
  WorkerProcess(const Identity& identity, Slot& slot, const Standing& standing,
                std::optional<Home> home);

  const Identity& identity() const { return identity_; }
  const Slot& slot() const { return *slot_; }
  Order order() const { return standing_.order; }
  const Standing& standing() const { return standing_; }
  const std::optional<Home>& home() const { return home_; }
  // Brings the slot up to date if it is a copy.
  void mirror();
  bool is_ready() const;
  int64_t age_ms(int64_t now_ms) const;
  // Since its last beat; negative never.
  int64_t silence_ms(int64_t now_ms) const;

  // True until became_ready() has said so: there is news to look for.
  bool is_awaited() const { return !standing_.seen_ready && order() == Order::serve; }
  // True once, when the worker has become ready.
  bool became_ready();

  void send(int signal_number) const;
  // SIGQUIT; SIGINT after `limit` (none: never), SIGKILL some seconds later.
  void drain(int64_t now_ms, std::optional<Milliseconds> limit);
  // SIGINT, and SIGKILL after `grace`.
  void leave(int64_t now_ms, Milliseconds grace);
  // SIGABRT, so that a core tells where it hung, and SIGKILL after 2 s.
  void abort(int64_t now_ms);

  // Gives the next heavier order if the time for the last one is over.
  void escalate(int64_t now_ms);
  std::optional<int64_t> deadline_ms() const { return standing_.deadline_ms; }

 private:
  void give(Order order, int signal_number, std::optional<int64_t> deadline_ms);

  Identity identity_;
  Slot* slot_;  // never null; shared memory; state and beat are written by the worker
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
