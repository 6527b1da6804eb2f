// Destroys finished objects at the top of the event loop, never inside one of their own callbacks.
//
// The single lifetime rule of the worker: an owner moves what is done into the reaper; it is still
// alive until the current callback has returned.
#pragma once

#include <event2/event.h>

#include <memory>
#include <utility>
#include <vector>

#include "common/check.h"
#include "worker/loop/event.h"

namespace streamgate {

// Base of everything that may be retired.
class Retirable {
 public:
  Retirable() = default;
  virtual ~Retirable() = default;
  Retirable(const Retirable&) = delete;
  Retirable& operator=(const Retirable&) = delete;
};

class Reaper {
 public:
  explicit Reaper(event_base* base) : wake_(event_new(base, -1, 0, callback<&Reaper::reap>, this)) {
    CHECK(wake_);
  }

  void retire(std::unique_ptr<Retirable> object) {
    if (retired_.empty()) event_active(wake_.get(), EV_TIMEOUT, 1);
    retired_.push_back(std::move(object));
  }

  // Also called when the worker tears down. What is destroyed may retire more.
  void reap() {
    while (!retired_.empty()) {
      std::swap(retired_, batch_);
      batch_.clear();
    }
  }

 private:
  std::vector<std::unique_ptr<Retirable>> retired_;
  std::vector<std::unique_ptr<Retirable>> batch_;  // empty but for reap(); kept for its memory
  Event wake_;
};

}  // namespace streamgate
