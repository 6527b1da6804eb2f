// Detects a transfer that is too slow: fewer bytes per second than a minimum, on average over a
// window of time. Only the time between run() and stop() counts.
//
// A member of the object that owns the transfer.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "worker/loop/timer_wheel.h"

namespace streamgate {

class RateWatch {
 public:
  // `at_window_end` is called from the event loop at the end of each window; it calls
  // is_too_slow(). `min_rate` is in bytes per second; 0: nothing is watched.
  RateWatch(TimerWheel& wheel, void* owner, Deadline::Callback at_window_end, size_t min_rate,
            std::chrono::milliseconds window)
      : wheel_(wheel),
        window_end_(wheel, owner, at_window_end),
        min_rate_(min_rate),
        window_(window) {}

  // The transfer can move from now on. The window continues where stop() interrupted it.
  void run() {
    if (min_rate_ == 0 || window_end_.armed()) return;
    running_since_ms_ = wheel_.now_ms();
    window_end_.arm(window_ - elapsed_);
  }
  void stop() {
    if (!window_end_.armed()) return;
    window_end_.cancel();
    const std::chrono::milliseconds ran{wheel_.now_ms() - running_since_ms_};
    elapsed_ = std::min(elapsed_ + ran, window_ - TimerWheel::kTick);
  }
  void add(uint64_t bytes) { bytes_ += bytes; }
  void reset() {
    window_end_.cancel();
    elapsed_ = {};
    bytes_ = 0;
  }

  // Call it at the end of a window: whether its average was below min_rate. The next window begins,
  // stopped.
  bool is_too_slow() {
    const bool slow = bytes_ < min_rate_ * static_cast<uint64_t>(window_.count()) / 1000;
    reset();
    return slow;
  }

 private:
  TimerWheel& wheel_;
  Deadline window_end_;
  size_t min_rate_;
  std::chrono::milliseconds window_;
  std::chrono::milliseconds elapsed_{0};  // of this window, until running_since_ms_
  int64_t running_since_ms_ = 0;
  uint64_t bytes_ = 0;  // in this window
};

}  // namespace streamgate
