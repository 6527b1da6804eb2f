// Work that is too long for one turn of the event loop, done in slices: when no client, upstream or
// timer needs the worker, one task runs one slice, and the loop looks at its events again.
//
// One queue per worker has the lowest priority of the base. Another one, of the usual priority, is
// for the delivery of bytes: its tasks take turns with the events of the clients and upstreams.
#pragma once

#include <event2/event.h>

#include "worker/loop/event.h"

namespace streamgate {

class WorkQueue {
 public:
  enum class Priority { lowest, usual };

  explicit WorkQueue(event_base* base, Priority priority = Priority::lowest);
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // A member of the object that has the work. Destroying it cancels it; the queue outlives it.
  class Task {
   public:
    using Callback = void (*)(void* owner);

    // `run` does one slice and calls schedule() again if work is left. It may destroy its owner.
    Task(WorkQueue& queue, void* owner, Callback run) : queue_(queue), owner_(owner), run_(run) {}
    ~Task() { cancel(); }
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;

    // The task runs after all tasks that are scheduled already. Does nothing if it is scheduled
    // itself.
    void schedule();
    void cancel();
    bool is_scheduled() const { return is_scheduled_; }

   private:
    friend class WorkQueue;
    WorkQueue& queue_;
    void* owner_;
    Callback run_;
    Task* next_ = nullptr;
    Task* previous_ = nullptr;
    bool is_scheduled_ = false;
  };

 private:
  void run_next();

  Task* first_ = nullptr;
  Task* last_ = nullptr;
  Event event_;
};

}  // namespace streamgate
