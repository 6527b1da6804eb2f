// The requests of one worker that wait for a connection place (ConnectionPlaces), for each key in
// order of arrival. Between workers the longest waiting request comes first, to within the interval
// at which workers poll (20 ms).
//
// One per worker.
#pragma once

#include <cstdint>
#include <list>
#include <unordered_map>

#include "worker/loop/event.h"
#include "worker/loop/timer_wheel.h"
#include "worker/upstream/connection_places.h"

namespace streamgate {

class PlaceQueue {
 public:
  // Implemented by the attempts of UpstreamPool.
  class Waiter {
   public:
    // The waiter is the first of its key. Either it calls remove(), takes an idle connection or a
    // place, and returns true; or it returns false and keeps waiting. Called from the event loop.
    virtual bool take_place() = 0;

   protected:
    ~Waiter() = default;
  };

  static constexpr size_t kMaxWaiters = 1024;  // of all keys

  PlaceQueue(event_base* base, TimerWheel& wheel, ConnectionPlaces& places);
  PlaceQueue(const PlaceQueue&) = delete;
  PlaceQueue& operator=(const PlaceQueue&) = delete;

  // Whether a request for that key waits here or in another worker. A new request must then wait.
  bool must_wait(uint64_t key) const;
  // Whether a request of another worker has waited longer than each request of this worker.
  bool is_wanted_elsewhere(uint64_t key) const;

  // False if the queue or the table is full.
  bool add(uint64_t key, Waiter& waiter);
  void remove(uint64_t key, Waiter& waiter);  // does nothing if it does not wait
  // A place of that key may be free: its waiters try in the next iteration of the event loop.
  void wake(uint64_t key);

 private:
  struct Entry {
    Waiter* waiter;
    int64_t since_ms;
  };

  void serve();
  void serve(uint64_t key);

  TimerWheel& wheel_;
  ConnectionPlaces& places_;
  std::unordered_map<uint64_t, std::list<Entry>> waiters_;  // no list is empty
  size_t size_ = 0;
  Event poll_;
};

}  // namespace streamgate
