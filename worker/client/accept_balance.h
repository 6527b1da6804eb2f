// Decides when a worker pauses accepting, so that other workers get new connections. All workers
// accept from one queue, and a worker that is awake empties it: of 200 connections opened at once,
// one of two workers got all. A worker that has accepted a few connections and has more than the
// least loaded worker of its generation therefore pauses for 1 ms, and the others wake up in that
// time.
//
// Pausing never idles the machine. A worker that is alone or behind does not pause. A pause ends as
// soon as the worker is level again: with one short request per connection, waiting for the full 1
// ms costs two thirds of the throughput. A worker whose peers do not accept still takes thousands
// of connections a second.
//
// Only reads shared memory. One per worker.
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
  // counts. `now_ms`: CLOCK_MONOTONIC.
  bool wants_pause(int64_t now_ms);
  // Whether a pause should go on. Call it during a pause when a connection has ended.
  bool is_ahead(int64_t now_ms) const;

 private:
  bool competes(size_t index, int64_t now_ms) const;

  ScoreboardView scoreboard_;
  size_t own_index_ = 0;
  const Slot& own_;
  unsigned taken_ = 0;  // connections since the last decision
  int64_t peers_read_ms_ = 0;
  std::vector<size_t> peers_;  // workers that accept too, at peers_read_ms_
};

}  // namespace streamgate
