#include "worker/loop/timer_wheel.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <vector>

#include "common/unique_fd.h"

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

// As in a worker: libevent looks for events of a higher priority after some time. Here, an event of
// a higher priority counts the turns of the loop.
class TimerWheelSliceTest : public testing::Test {
 protected:
  // Takes a millisecond when it fires, and ends run_until().
  struct SlowWaiter {
    explicit SlowWaiter(TimerWheelSliceTest& the_test)
        : test(the_test), deadline(test.wheel, this, &SlowWaiter::fired) {}
    static void fired(void* self) {
      auto& waiter = *static_cast<SlowWaiter*>(self);
      waiter.fired_in = waiter.test.turn;
      const auto end = std::chrono::steady_clock::now() + milliseconds(1);
      while (std::chrono::steady_clock::now() < end) {
      }
      event_base_loopbreak(waiter.test.base.get());
    }
    TimerWheelSliceTest& test;
    int fired_in = 0;
    Deadline deadline;
  };

  TimerWheelSliceTest() { event_add(each_turn.get(), nullptr); }
  static EventBase make_base() {
    const EventConfig config(event_config_new());
    const timeval max_dispatch{0, 1};
    event_config_set_max_dispatch_interval(config.get(), &max_dispatch, -1, 0);
    return EventBase(event_base_new_with_config(config.get()));
  }
  void count_turn() { ++turn; }
  template <typename Predicate>
  void run_until(Predicate predicate) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!predicate() && std::chrono::steady_clock::now() < end) {
      event_base_loop(base.get(), EVLOOP_ONCE);
    }
    EXPECT_TRUE(predicate());
  }

  int turn = 0;
  EventBase base = make_base();
  UniqueFd readable{eventfd(1, EFD_CLOEXEC)};
  Event each_turn{event_new(base.get(), readable.get(), EV_READ | EV_PERSIST,
                            callback<&TimerWheelSliceTest::count_turn>, this)};
  TimerWheel wheel{base.get()};
};

TEST_F(TimerWheelSliceTest, ManyDeadlinesOfOneTickAreSpreadOverTurnsOfTheLoop) {
  std::vector<std::unique_ptr<SlowWaiter>> waiters;
  for (int i = 0; i < 40; ++i) {
    waiters.push_back(std::make_unique<SlowWaiter>(*this));
    waiters.back()->deadline.arm(milliseconds(100));
  }
  run_until([&] {
    return std::ranges::none_of(waiters, [](const auto& each) { return each->fired_in == 0; });
  });
  std::map<int, int> fired;
  for (const auto& waiter : waiters) ++fired[waiter->fired_in];
  // libevent's clock is accurate to 4 ms.
  for (const auto& [in, count] : fired) EXPECT_LE(count, 10) << "turn " << in;
}

TEST_F(TimerWheelSliceTest, ADeadlineMovedAwayBetweenTheSlicesOfItsSlotDoesNotFire) {
  SlowWaiter moved(*this);
  SlowWaiter cancelled(*this);
  SlowWaiter first(*this);  // armed last
  for (SlowWaiter* each : {&moved, &cancelled, &first}) each->deadline.arm(milliseconds(100));
  run_until([&] { return first.fired_in != 0; });
  ASSERT_TRUE(moved.deadline.armed() && cancelled.deadline.armed());
  moved.deadline.arm(milliseconds(300));
  cancelled.deadline.cancel();
  const int64_t moved_at = wheel.now_ms();
  run_until([&] { return moved.fired_in != 0; });
  EXPECT_GE(wheel.now_ms() - moved_at, 300);
  EXPECT_EQ(cancelled.fired_in, 0);
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
