#include "worker/loop/work_queue.h"

#include <event2/util.h>
#include <sys/time.h>

#include "common/check.h"

namespace streamgate {
namespace {

constexpr timeval kLongTurn{0, 1'000};

}  // namespace

WorkQueue::WorkQueue(event_base* base)
    : base_(base), event_(event_new(base, -1, 0, callback<&WorkQueue::run_next>, this)) {
  CHECK(event_);
  event_priority_set(event_.get(), event_base_get_npriorities(base) - 1);
}

// libevent keeps the time at which the turn began. If the clock is set meanwhile, one piece of work
// waits in vain, or one does not wait.
bool WorkQueue::is_turn_long() const {
  timeval begun{};
  timeval now{};
  event_base_gettimeofday_cached(base_, &begun);
  evutil_gettimeofday(&now, nullptr);
  timeval lasted{};
  evutil_timersub(&now, &begun, &lasted);
  return evutil_timercmp(&lasted, &kLongTurn, >=);
}

void WorkQueue::Task::schedule() {
  if (is_scheduled_) return;
  is_scheduled_ = true;
  next_ = nullptr;
  previous_ = queue_.last_;
  (previous_ != nullptr ? previous_->next_ : queue_.first_) = this;
  queue_.last_ = this;
  event_active(queue_.event_.get(), EV_TIMEOUT, 1);
}

void WorkQueue::Task::cancel() {
  if (!is_scheduled_) return;
  is_scheduled_ = false;
  (previous_ != nullptr ? previous_->next_ : queue_.first_) = next_;
  (next_ != nullptr ? next_->previous_ : queue_.last_) = previous_;
}

void WorkQueue::run_next() {
  if (first_ == nullptr) return;
  Task& task = *first_;
  task.cancel();
  if (first_ != nullptr) event_active(event_.get(), EV_TIMEOUT, 1);
  task.run_(task.owner_);
}

}  // namespace streamgate
