#include "worker/loop/work_queue.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>

namespace streamgate {
namespace {

EventBase base_with_priorities() {
  // As a worker's.
  event_config* const config = event_config_new();
  const timeval most{0, 4'000};
  event_config_set_max_dispatch_interval(config, &most, -1, 1);
  EventBase base(event_base_new_with_config(config));
  event_config_free(config);
  EXPECT_EQ(event_base_priority_init(base.get(), 3), 0);
  return base;
}

// Writes its name into the log and schedules itself again until it has run `slices` times.
struct Worker {
  Worker(WorkQueue& queue, std::string& its_log, char its_name, int its_slices)
      : log(its_log), name(its_name), slices(its_slices), task(queue, this, call<&Worker::run>) {}
  void run() {
    log += name;
    if (--slices > 0) task.schedule();
  }

  std::string& log;
  char name;
  int slices;
  WorkQueue::Task task;
};

TEST(WorkQueueTest, TasksTakeTurns) {
  const EventBase base = base_with_priorities();
  Reaper reaper(base.get());
  WorkQueue queue(base.get(), reaper);
  std::string log;
  Worker a(queue, log, 'a', 3);
  Worker b(queue, log, 'b', 2);
  a.task.schedule();
  a.task.schedule();  // once is enough
  b.task.schedule();
  event_base_loop(base.get(), 0);
  EXPECT_EQ(log, "ababa");
}

TEST(WorkQueueTest, ACancelledTaskDoesNotRun) {
  const EventBase base = base_with_priorities();
  Reaper reaper(base.get());
  WorkQueue queue(base.get(), reaper);
  std::string log;
  Worker a(queue, log, 'a', 1);
  auto b = std::make_unique<Worker>(queue, log, 'b', 1);
  Worker c(queue, log, 'c', 1);
  for (Worker* worker : {&a, b.get(), &c}) worker->task.schedule();
  b.reset();
  a.task.cancel();
  EXPECT_FALSE(a.task.is_scheduled());
  event_base_loop(base.get(), 0);
  EXPECT_EQ(log, "c");
}

TEST(WorkQueueTest, ATaskMayDestroyItsOwner) {
  const EventBase base = base_with_priorities();
  Reaper reaper(base.get());
  WorkQueue queue(base.get(), reaper);
  struct Owner {
    explicit Owner(WorkQueue& queue) : task(queue, this, call<&Owner::run>) {}
    void run() { itself.reset(); }
    std::unique_ptr<Owner> itself;
    WorkQueue::Task task;
  };
  auto owner = std::make_unique<Owner>(queue);
  owner->task.schedule();
  Owner& kept = *owner;
  kept.itself = std::move(owner);
  event_base_loop(base.get(), 0);
}

TEST(WorkQueueTest, OtherEventsRunBetweenTwoSlices) {
  const EventBase base = base_with_priorities();
  Reaper reaper(base.get());
  WorkQueue queue(base.get(), reaper);
  std::string log;
  Worker a(queue, log, 'a', 3);
  const Event other(event_new(
      base.get(), -1, 0,
      [](evutil_socket_t, short, void* text) { *static_cast<std::string*>(text) += 'x'; }, &log));
  a.task.schedule();
  event_active(other.get(), EV_TIMEOUT, 1);
  event_base_loop(base.get(), 0);
  EXPECT_EQ(log, "xaaa");
}

// Waits in its first call until the turn is long. In its second call, in the same turn or in the
// next one, it asks once.
struct Asker {
  explicit Asker(event_base* base)
      : reaper(base),
        queue(base, reaper),
        event(event_new(base, -1, 0, callback<&Asker::run>, this)) {}
  void run() {
    if (waited.count() > 0) {
      is_long_later = queue.is_turn_long();
      return;
    }
    const auto begun = std::chrono::steady_clock::now();
    while (!queue.is_turn_long()) {
    }
    waited = std::chrono::steady_clock::now() - begun;
  }

  Reaper reaper;
  WorkQueue queue;
  Event event;
  std::chrono::steady_clock::duration waited{};
  bool is_long_later = false;
};

TEST(WorkQueueTest, ATurnIsLongAfterAMillisecond) {
  const EventBase base = base_with_priorities();
  Asker asker(base.get());
  event_active(asker.event.get(), EV_TIMEOUT, 1);
  event_base_loop(base.get(), EVLOOP_NONBLOCK);
  EXPECT_GE(asker.waited, std::chrono::milliseconds(1));
  event_active(asker.event.get(), EV_TIMEOUT, 1);
  event_base_loop(base.get(), EVLOOP_NONBLOCK);
  EXPECT_FALSE(asker.is_long_later);
}

TEST(WorkQueueTest, TheCallbacksOfATurnShareItsTime) {
  const EventBase base = base_with_priorities();
  Asker asker(base.get());
  struct Second {
    void run() { asker.run(); }
    Asker& asker;
  } second{asker};
  const Event behind(event_new(base.get(), -1, 0, callback<&Second::run>, &second));
  event_active(asker.event.get(), EV_TIMEOUT, 1);
  event_active(behind.get(), EV_TIMEOUT, 1);
  event_base_loop(base.get(), EVLOOP_NONBLOCK);
  EXPECT_TRUE(asker.is_long_later);
}

TEST(WorkQueueTest, TasksRunAlthoughTheLoopIsNeverIdle) {
  const EventBase base = base_with_priorities();
  Reaper reaper(base.get());
  WorkQueue queue(base.get(), reaper);
  std::string log;
  Worker a(queue, log, 'a', 3);
  struct Busy {
    void run() {
      const bool is_late = std::chrono::steady_clock::now() > deadline;
      if (log.size() < 3 && !is_late) event_active(event.get(), EV_TIMEOUT, 1);
    }
    std::string& log;
    Event event = nullptr;
    std::chrono::steady_clock::time_point deadline =
        std::chrono::steady_clock::now() + std::chrono::seconds(5);
  } busy{log};
  busy.event.reset(event_new(base.get(), -1, 0, callback<&Busy::run>, &busy));
  const auto begun = std::chrono::steady_clock::now();
  event_active(busy.event.get(), EV_TIMEOUT, 1);
  a.task.schedule();
  event_base_loop(base.get(), 0);
  EXPECT_EQ(log, "aaa");
  EXPECT_LT(std::chrono::steady_clock::now(), busy.deadline);
  EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(20));
}

// Its first turn ends after the task is late, so the queue's timer is due behind it in the second
// turn. There it retires the task's owner.
struct Retiree {
  struct Owner : Retirable, Worker {
    using Worker::Worker;
  };
  void run() {
    if (++turns == 1) {
      const auto begun = std::chrono::steady_clock::now();
      while (std::chrono::steady_clock::now() - begun < std::chrono::milliseconds(20)) {
      }
      event_active(event.get(), EV_TIMEOUT, 1);
      return;
    }
    reaper.retire(std::move(owner));
  }
  Reaper& reaper;
  std::unique_ptr<Owner> owner;
  Event event = nullptr;
  int turns = 0;
};

// The timer that an earlier task has set may expire in the same turn.
TEST(WorkQueueTest, ATaskThatHasNotWaitedComesBehindTheEventsBeforeIt) {
  const EventBase base = base_with_priorities();
  Reaper reaper(base.get());
  WorkQueue queue(base.get(), reaper, WorkQueue::Priority::usual);
  std::string log;
  Worker first(queue, log, '1', 1);
  Worker second(queue, log, '2', 1);
  struct Timer {
    void run() {
      log += 't';
      event_active(other.get(), EV_TIMEOUT, 1);
      task.schedule();
    }
    void on_other() { log += 'o'; }
    std::string& log;
    WorkQueue::Task& task;
    Event other;
  } timer{log, second.task, nullptr};
  timer.other.reset(event_new(base.get(), -1, 0, callback<&Timer::on_other>, &timer));
  const Event expiry(event_new(base.get(), -1, 0, callback<&Timer::run>, &timer));
  const timeval before_the_late_timer{0, 9'000};
  event_add(expiry.get(), &before_the_late_timer);
  first.task.schedule();
  event_base_loop(base.get(), EVLOOP_NONBLOCK);
  EXPECT_EQ(log, "1");
  std::this_thread::sleep_for(std::chrono::milliseconds(15));
  event_base_loop(base.get(), 0);
  EXPECT_EQ(log, "1to2");
}

TEST(WorkQueueTest, ALateTaskOfARetiredOwnerDoesNotRun) {
  const EventBase base = base_with_priorities();
  Reaper reaper(base.get());
  WorkQueue queue(base.get(), reaper);
  std::string log;
  Retiree retiree{reaper, std::make_unique<Retiree::Owner>(queue, log, 'a', 1)};
  retiree.event.reset(event_new(base.get(), -1, 0, callback<&Retiree::run>, &retiree));
  event_active(retiree.event.get(), EV_TIMEOUT, 1);
  retiree.owner->task.schedule();
  event_base_loop(base.get(), 0);
  EXPECT_EQ(retiree.turns, 2);
  EXPECT_EQ(log, "");
}

}  // namespace
}  // namespace streamgate
