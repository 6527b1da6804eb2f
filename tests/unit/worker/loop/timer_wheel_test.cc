#include "worker/loop/timer_wheel.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <vector>

namespace streamgate {
namespace {

using std::chrono::milliseconds;

struct Waiter {
  explicit Waiter(TimerWheel& wheel) : wheel_ref(wheel), deadline(wheel, this, &Waiter::fired) {}
  static void fired(void* self) {
    auto& waiter = *static_cast<Waiter*>(self);
    waiter.fired_at = waiter.wheel_ref.now_ms();
    if (waiter.rearm) waiter.deadline.arm(milliseconds(100));
    if (waiter.victim) waiter.victim->reset();
  }
  TimerWheel& wheel_ref;
  int64_t fired_at = 0;
  bool rearm = false;
  std::unique_ptr<Waiter>* victim = nullptr;
  Deadline deadline;
};

class TimerWheelTest : public testing::Test {
 protected:
  void run_for(milliseconds time) {
    const int64_t until = wheel.now_ms() + time.count();
    while (wheel.now_ms() < until) event_base_loop(base.get(), EVLOOP_ONCE);
  }
  EventBase base{event_base_new()};
  TimerWheel wheel{base.get()};
};

// Its wheel has a clock that the test sets; each tick still takes its real 100 ms.
class TimerWheelTurnTest : public testing::Test {
 protected:
  TimerWheelTurnTest() { now_ms = 1'000'000; }
  void tick_at(milliseconds since_start) {
    now_ms = 1'000'000 + since_start.count();
    event_base_loop(base.get(), EVLOOP_ONCE);
  }

  static inline int64_t now_ms = 0;
  EventBase base{event_base_new()};
  TimerWheel wheel{base.get(), [] { return now_ms; }};
};

TEST_F(TimerWheelTest, FiresAtItsTimeAndNotBefore) {
  Waiter waiter(wheel);
  const int64_t start = wheel.now_ms();
  waiter.deadline.arm(milliseconds(250));
  run_for(milliseconds(600));
  ASSERT_NE(waiter.fired_at, 0);
  EXPECT_GE(waiter.fired_at - start, 250);
  EXPECT_FALSE(waiter.deadline.armed());
}

TEST_F(TimerWheelTest, ADeadlineThatIsMovedAwayDoesNotFire) {
  Waiter waiter(wheel);
  waiter.deadline.arm(milliseconds(150));
  waiter.deadline.arm(milliseconds(5000));
  run_for(milliseconds(500));
  EXPECT_EQ(waiter.fired_at, 0);
  EXPECT_TRUE(waiter.deadline.armed());
}

TEST_F(TimerWheelTest, ADeadlineThatIsMovedNearerFires) {
  Waiter waiter(wheel);
  waiter.deadline.arm(milliseconds(60'000));
  waiter.deadline.arm(milliseconds(100));
  run_for(milliseconds(500));
  EXPECT_NE(waiter.fired_at, 0);
}

TEST_F(TimerWheelTurnTest, ADeadlineBeyondTheWheelSurvivesATurn) {
  constexpr milliseconds kTurn = TimerWheel::kSlots * TimerWheel::kTick;
  Waiter waiter(wheel);
  waiter.deadline.arm(2 * kTurn + milliseconds(50));
  for (const milliseconds now :
       {kTurn - milliseconds(100), kTurn, kTurn + milliseconds(1'000), 2 * kTurn}) {
    tick_at(now);
    EXPECT_TRUE(waiter.deadline.armed());
    EXPECT_EQ(waiter.fired_at, 0);
  }
  tick_at(2 * kTurn + milliseconds(100));
  EXPECT_EQ(waiter.fired_at, now_ms);
}

TEST_F(TimerWheelTurnTest, EverySlotRunsAfterAStopOfSeveralTurns) {
  std::vector<std::unique_ptr<Waiter>> waiters;
  for (int seconds = 1; seconds < 100; ++seconds) {
    waiters.push_back(std::make_unique<Waiter>(wheel));
    waiters.back()->deadline.arm(milliseconds(seconds * 1'000));
  }
  tick_at(milliseconds(1'000'000));
  for (const auto& waiter : waiters) EXPECT_EQ(waiter->fired_at, now_ms);
}

TEST_F(TimerWheelTest, CancelledAndDestroyedDeadlinesDoNotFire) {
  Waiter waiter(wheel);
  waiter.deadline.arm(milliseconds(100));
  waiter.deadline.cancel();
  {
    Waiter gone(wheel);
    gone.deadline.arm(milliseconds(100));
  }
  run_for(milliseconds(400));
  EXPECT_EQ(waiter.fired_at, 0);
}

TEST_F(TimerWheelTest, ACallbackMayDestroyTheNextDeadlineOfItsSlot) {
  auto first = std::make_unique<Waiter>(wheel);
  auto second = std::make_unique<Waiter>(wheel);
  first->deadline.arm(milliseconds(100));
  second->deadline.arm(milliseconds(100));
  first->victim = &second;  // the first to fire destroys the other
  second->victim = &first;
  run_for(milliseconds(400));
  EXPECT_NE(first == nullptr, second == nullptr);
}

TEST_F(TimerWheelTest, ADeadlineMayArmItselfAgain) {
  Waiter waiter(wheel);
  waiter.rearm = true;
  waiter.deadline.arm(milliseconds(100));
  run_for(milliseconds(500));
  EXPECT_TRUE(waiter.deadline.armed());
}

}  // namespace
}  // namespace streamgate
