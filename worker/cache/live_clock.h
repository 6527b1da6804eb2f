// The clock of endless bodies: every `cache.live_batch` the readers of each window get the bytes
// that have come. It runs only while there are windows. One per worker.
#pragma once

#include <chrono>
#include <vector>

#include "worker/cache/shared_object.h"
#include "worker/loop/periodic_timer.h"

namespace streamgate {

class LiveClock {
 public:
  class Observer {
   public:
    // May end any object.
    virtual void on_live_tick(SharedObject& object) = 0;

   protected:
    ~Observer() = default;
  };

  LiveClock(event_base* base, std::chrono::milliseconds batch, Observer& observer);
  LiveClock(const LiveClock&) = delete;
  LiveClock& operator=(const LiveClock&) = delete;

  // The memory of a removed object stays valid until the next turn of the loop (Reaper).
  void add(SharedObject& object);
  void remove(SharedObject& object);
  const std::vector<SharedObject*>& objects() const { return objects_; }

 private:
  void on_tick();

  Observer& observer_;
  PeriodicTimer timer_;
  std::vector<SharedObject*> objects_;
};

}  // namespace streamgate
