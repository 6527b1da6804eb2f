// The worker processes of all generations, and the scoreboard and the lifeline that the master
// shares with them. Every loop over the workers is here. Supervisor decides which worker gets which
// order, and when. Runs in the master, except close_in_child().
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "common/result.h"
#include "common/scoreboard.h"
#include "common/unique_fd.h"
#include "master/process/cache_seats.h"
#include "master/process/last_request.h"
#include "master/process/worker_process.h"

namespace streamgate {

class Workers {
 public:
  // Workers inherit the read end. Only the master holds the write end, so that EOF tells a worker
  // that the master has ended.
  struct Lifeline {
    UniqueFd read_end;
    UniqueFd write_end;
  };

  // None yet, with a new scoreboard of kSlots slots and a new lifeline.
  static Result<Workers> create();
  // The workers that the previous program of this process has started.
  Workers(Scoreboard scoreboard, Lifeline lifeline, std::vector<WorkerProcess> workers);

  // Forks a worker with a slot of its own. `body` runs in the child and returns its exit code.
  Result<WorkerProcess::Identity> start(uint64_t generation, unsigned place,
                                        const std::function<int(unsigned slot_index)>& body);
  // Called in a child: closes the master's end of the lifeline and the scoreboards of other
  // programs. A worker also calls Scoreboard::confine().
  void close_in_child();

  // Takes a worker off the list after waitpid() has returned `pid`, and updates its slot. The slot
  // stays readable until retire(). None if `pid` is not a worker.
  std::optional<WorkerProcess> remove(pid_t pid);
  void retire(const WorkerProcess& removed) {
    cache_seats_.release(removed.identity().pid);
    scoreboard_.retire(removed.identity().slot_index);
  }

  // The last request of a removed worker. Empty for a worker of another program's scoreboard.
  LastRequest last_request(const WorkerProcess& removed) const {
    return read_last_request(scoreboard_.column(removed.identity().slot_index).served);
  }

  // Updates the slots of workers that write to the scoreboard of another program.
  void mirror();
  // Workers that have become ready since the last call.
  std::vector<WorkerProcess::Identity> take_newly_ready();
  // Workers that do not respond: no beat for `patience`, or not ready kReadyLimitMs after the
  // fork. Workers that have been aborted or killed are left out. Valid until start() or remove().
  std::vector<WorkerProcess*> stuck(int64_t now_ms, Milliseconds patience);

  // Orders; see WorkerProcess.
  void escalate(int64_t now_ms);
  void drain_all(int64_t now_ms, std::optional<Milliseconds> limit);
  void drain_all_except(uint64_t generation, int64_t now_ms, std::optional<Milliseconds> limit);
  void interrupt_all(int64_t now_ms, Milliseconds grace);
  // Ends a generation that is not to serve. Ready workers may have clients already, so they drain;
  // the others are interrupted.
  void withdraw(uint64_t generation, int64_t now_ms, std::optional<Milliseconds> drain_limit);
  void interrupt_generation(uint64_t generation, int64_t now_ms, Milliseconds grace);
  void send_all(int signal_number) const;
  // Tells the workers of every program that the whole service stops: their /health answers 503.
  void announce_stop();
  // Tells the workers that the service is about to stop: their /ready answers 503.
  void announce_leaving() { scoreboard_.board().service_leaving = 1; }

  auto begin() const { return workers_.begin(); }
  auto end() const { return workers_.end(); }
  size_t size() const { return workers_.size(); }
  bool empty() const { return workers_.empty(); }
  size_t draining() const;  // and those with a stronger order
  // The oldest generation with a worker that drains; none while a worker has a stronger order.
  std::optional<uint64_t> oldest_draining() const;
  size_t ready(uint64_t generation) const;
  size_t serving(uint64_t generation) const;  // ready, and without an order
  bool any_awaited() const;                   // a worker without an order is not ready yet
  bool any_beat_within(int64_t now_ms, Milliseconds limit) const;
  std::optional<int64_t> next_deadline_ms() const;  // the earliest of their orders
  // One counter over all workers, also those that have ended.
  uint64_t total(Counter counter) const;
  // Adds to a counter of the master.
  void count(Counter counter) { streamgate::count(scoreboard_.board().retired, counter); }

  Scoreboard& scoreboard() { return scoreboard_; }
  const Scoreboard& scoreboard() const { return scoreboard_; }
  const Lifeline& lifeline() const { return lifeline_; }
  CacheSeats& cache_seats() { return cache_seats_; }
  const CacheSeats& cache_seats() const { return cache_seats_; }

 private:
  Scoreboard scoreboard_;
  Lifeline lifeline_;
  std::vector<WorkerProcess> workers_;
  CacheSeats cache_seats_;
};

}  // namespace streamgate
