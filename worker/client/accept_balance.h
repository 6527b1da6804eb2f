// Decides when a worker pauses accepting, so that other workers get new connections. All workers
// accept from one queue, and a worker that is awake empties it: of 200 connections opened at once,
// one of two workers got all. A worker that has accepted a few connections and has more than the
// least loaded worker of its generation therefore pauses for 1 ms, and the others wake up in that
// time.
//
// Pausing never idles the machine. A worker that is alone or behind does not pause. A pause ends as
// soon as the worker is level again: with one short request per connection, waiting for the full 1
// ms costs two thirds of the throughput. A worker does not pause while the queue is longer than its
// lead, because the others can still become level. If the others accept nothing in three pauses,
// they are busy, and the worker empties the queue. Without these two rules the last of 1,000
// connections at once waited for 40 ms, and of 3,000 for 250 ms (measured).
//
// Only reads shared memory and the listening socket. One per worker.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/scoreboard.h"

namespace streamgate {

class AcceptBalance {
 public:
  // Shorter pauses do not help (measured).
  static constexpr std::chrono::milliseconds kPause{1};

  // `own` is the slot of one of the columns.
  AcceptBalance(const ScoreboardView& scoreboard, const Slot& own);

  // Whether to pause now. Call it after each accepted connection, which own.connections_now already
  // counts. `now_ms`: CLOCK_MONOTONIC. `count_waiting()` returns the length of the queue; it is
  // called only if the worker is ahead.
  template <class CountWaiting>
  bool wants_pause(int64_t now_ms, CountWaiting&& count_waiting) {
    if (++taken_ < kAcceptsBetweenPauses) return false;
    taken_ = 0;
    read_peers(now_ms);
    return is_ahead(now_ms) && may_pause(lead(now_ms), count_waiting());
  }
  // Whether a pause should continue. Call it during a pause when a connection has ended.
  bool is_ahead(int64_t now_ms) const { return lead(now_ms) > kMaxAhead; }

 private:
  static constexpr unsigned kAcceptsBetweenPauses = 4;
  static constexpr uint64_t kMaxAhead = 4;
  static constexpr unsigned kMaxVainPauses = 3;

  void read_peers(int64_t now_ms);
  bool competes(size_t index, int64_t now_ms) const;
  uint64_t lead(int64_t now_ms) const;
  uint64_t peers_took() const;
  bool may_pause(uint64_t lead, uint64_t waiting);

  ScoreboardView scoreboard_;
  size_t own_index_ = 0;
  const Slot& own_;
  unsigned taken_ = 0;                // connections since the last decision
  uint64_t peers_took_at_pause_ = 0;  // peers_took() at the last pause
  unsigned vain_pauses_ = 0;          // in which connections waited and no peer accepted
  int64_t peers_read_ms_ = 0;
  std::vector<size_t> peers_;  // workers that accept too, at peers_read_ms_
};

// The connections that wait to be accepted from a TCP socket; 0 for other sockets.
uint64_t connections_waiting(int listening_fd);

}  // namespace streamgate
