// A timer that fires again and again, more exact than a Deadline (timer_wheel.h) and more
// expensive: for a clock of a worker, not for single streams.
#pragma once

#include <chrono>

#include "common/check.h"
#include "worker/loop/event.h"

namespace streamgate {

class PeriodicTimer {
 public:
  // `fired` runs from the event loop with `owner`, which owns the timer.
  PeriodicTimer(event_base* base, std::chrono::milliseconds period, event_callback_fn fired,
                void* owner)
      : period_{static_cast<time_t>(period.count() / 1000),
                static_cast<suseconds_t>(period.count() % 1000 * 1000)},
        event_(event_new(base, -1, EV_PERSIST, fired, owner)) {
    CHECK(event_);
  }

  void start() { event_add(event_.get(), &period_); }
  void stop() { event_del(event_.get()); }

 private:
  const timeval period_;
  const Event event_;
};

}  // namespace streamgate
