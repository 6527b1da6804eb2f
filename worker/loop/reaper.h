// Destroys finished objects from the event loop, never inside one of their own callbacks.
//
// This is the worker's rule for lifetimes: an owner moves a finished object into the reaper, and
// the object stays valid until the current callback has returned. One per worker.
#pragma once

#include <event2/event.h>

#include <memory>
#include <utility>
#include <vector>

#include "common/check.h"
#include "worker/loop/event.h"

namespace streamgate {

// Base of every class whose objects are retired.
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

  // Also called when the worker shuts down. A destructor may retire further objects.
  void reap() {
    while (!retired_.empty()) {
      std::swap(retired_, batch_);
      batch_.clear();
    }
  }

 private:
  std::vector<std::unique_ptr<Retirable>> retired_;
  // Empty except during reap(). A member, so that it keeps its memory.
  std::vector<std::unique_ptr<Retirable>> batch_;
  Event wake_;
};

}  // namespace streamgate
