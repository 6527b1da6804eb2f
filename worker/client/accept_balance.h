// Decides when a worker leaves new connections to the others. All workers accept from one queue,
// and a worker that is awake empties it: 200 connections opened at once ended up with one of two
// workers. One that has taken a few and is ahead of the least loaded of its generation therefore
// rests for a moment, in which the others wake.
//
// Work is kept conserved: a worker that is alone or behind never rests, one that gets level again
// ends its rest (where each connection is one short request, waiting costs two thirds of them), and
// the rest is so short that one whose peers do not come takes thousands a second.
//
// Shared memory and arithmetic only. One per worker.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

#include "common/scoreboard.h"

namespace streamgate {

class AcceptBalance {
 public:
  // How long a rest lasts; shorter ones do not help (measured).
  static constexpr std::chrono::milliseconds kRest{1};

  // `own` is one of `slots`.
  AcceptBalance(std::span<const Slot> slots, const Slot& own) : slots_(slots), own_(own) {}

  // After each connection that was accepted and counted in own.connections_now. `now_ms`:
  // CLOCK_MONOTONIC.
  bool wants_rest(int64_t now_ms);
  // Whether it would still rest now. While resting, to be asked when a connection is gone.
  bool is_ahead(int64_t now_ms) const;

 private:
  bool competes(const Slot& slot, int64_t now_ms) const;

  std::span<const Slot> slots_;
  const Slot& own_;
  unsigned taken_ = 0;  // since the last rest was considered
  int64_t looked_ms_ = 0;
  std::vector<const Slot*> peers_;  // that accept as we do, when last looked at
};

}  // namespace streamgate
