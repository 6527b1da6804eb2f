#include "worker/loop/work_queue.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace streamgate {
namespace {

EventBase base_with_priorities() {
  EventBase base(event_base_new());
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
  WorkQueue queue(base.get());
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
  WorkQueue queue(base.get());
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
  WorkQueue queue(base.get());
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
  WorkQueue queue(base.get());
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

}  // namespace
}  // namespace streamgate
