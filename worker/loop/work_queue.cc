#include "worker/loop/work_queue.h"

#include "common/check.h"

namespace streamgate {
namespace {

constexpr std::chrono::milliseconds kLongTurn{1};
constexpr std::chrono::milliseconds kLongWait{10};
constexpr timeval kLongWaitOfTimer{0, 10'000};

}  // namespace

WorkQueue::WorkQueue(event_base* base, Reaper& reaper, Priority priority)
    : reaper_(reaper),
      event_(event_new(base, -1, 0, callback<&WorkQueue::run_next>, this)),
      late_(event_new(base, -1, 0, callback<&WorkQueue::run_late>, this)),
      turn_end_(event_new(base, -1, 0, callback<&WorkQueue::end_turn>, this)) {
  CHECK(event_ && late_ && turn_end_);
  if (priority == Priority::usual) return;  // libevent's default
  event_priority_set(event_.get(), event_base_get_npriorities(base) - 1);
}

// Not libevent's time: it is that of the last callback, and exact to 4 ms.
bool WorkQueue::is_turn_long() {
  const Clock::time_point now = Clock::now();
  if (!turn_began_) {
    turn_began_ = now;
    event_active(turn_end_.get(), EV_TIMEOUT, 1);
  }
  return now - *turn_began_ >= kLongTurn;
}

void WorkQueue::Task::schedule() {
  if (is_scheduled_) return;
  is_scheduled_ = true;
  // The timer may be that of an earlier task.
  if (queue_.first_ == nullptr) queue_.last_run_ = Clock::now();
  if (event_pending(queue_.late_.get(), EV_TIMEOUT, nullptr) == 0) {
    event_add(queue_.late_.get(), &kLongWaitOfTimer);
  }
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

// An owner may have ended in this turn, with the reaper due behind this callback. (At the lowest
// priority the reaper has always run.)
void WorkQueue::run_next() {
  reaper_.reap();
  if (first_ == nullptr) return;
  Task& task = *first_;
  task.cancel();
  if (first_ != nullptr) event_active(event_.get(), EV_TIMEOUT, 1);
  last_run_ = Clock::now();
  task.run_(task.owner_);
}

void WorkQueue::run_late() {
  if (first_ == nullptr) return;
  event_add(late_.get(), &kLongWaitOfTimer);
  if (Clock::now() - last_run_ >= kLongWait) run_next();
}

}  // namespace streamgate
