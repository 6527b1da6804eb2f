#include "worker/loop/work_queue.h"

#include "common/check.h"

namespace streamgate {

WorkQueue::WorkQueue(event_base* base, Priority priority)
    : event_(event_new(base, -1, 0, callback<&WorkQueue::run_next>, this)) {
  CHECK(event_);
  if (priority == Priority::usual) return;  // libevent's default
  event_priority_set(event_.get(), event_base_get_npriorities(base) - 1);
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
