// Work that is too long for one turn of the event loop, done in slices: when no client, upstream or
// timer needs the worker, one task runs one slice, and the loop looks at its events again. If the
// loop is never idle, a task runs a slice every 10 ms.
//
// One queue per worker has the lowest priority of the base. Another one, of the usual priority, is
// for the delivery of bytes: its tasks take turns with the events of the clients and upstreams.
#pragma once

#include <event2/event.h>

#include <chrono>
#include <optional>

#include "worker/loop/event.h"
#include "worker/loop/reaper.h"

namespace streamgate {

class WorkQueue {
 public:
  enum class Priority { lowest, usual };

  // The reaper outlives the queue.
  WorkQueue(event_base* base, Reaper& reaper, Priority priority = Priority::lowest);
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // Whether work that can wait should be put off: a millisecond has passed since this was first
  // asked in this turn of the loop.
  bool is_turn_long();

  // A member of the object that has the work. Destroying it cancels it; the queue outlives it.
  class Task {
   public:
    using Callback = void (*)(void* owner);

    // `run` does one slice and calls schedule() again if work is left. It may destroy its owner.
    Task(WorkQueue& queue, void* owner, Callback run) : queue_(queue), owner_(owner), run_(run) {}
    ~Task() { cancel(); }
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;

    // The task runs after all tasks that are scheduled already. Does nothing if this task is
    // scheduled already.
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
  using Clock = std::chrono::steady_clock;

  void run_next();
  void run_late();
  void end_turn() { turn_began_.reset(); }

  Reaper& reaper_;
  Task* first_ = nullptr;
  Task* last_ = nullptr;
  Clock::time_point last_run_;
  std::optional<Clock::time_point> turn_began_;  // when is_turn_long() was first asked
  Event event_;
  Event late_;      // a timer of the usual priority, for a loop that is never idle
  Event turn_end_;  // of the usual priority: behind all events of the turn
};

}  // namespace streamgate
