#include "worker/loop/rate_watch.h"

#include <gtest/gtest.h>

#include "tests/unit/upstream_peers.h"

namespace streamgate {
namespace {

using testing_peers::run_until;

class RateWatchTest : public testing::Test {
 protected:
  bool until(const std::function<bool()>& done) { return run_until(base.get(), done); }
  void on_window_end() {
    ++windows;
    was_too_slow = watch.is_too_slow();
  }

  EventBase base{event_base_new()};
  TimerWheel wheel{base.get()};
  int windows = 0;
  bool was_too_slow = false;
  RateWatch watch{wheel, this,
                  [](void* self) { static_cast<RateWatchTest*>(self)->on_window_end(); }, 1000,
                  Milliseconds{300}};
};

TEST_F(RateWatchTest, IsTooSlowBelowTheMinimumRate) {
  watch.run();
  watch.add(299);
  ASSERT_TRUE(until([&] { return windows == 1; }));
  EXPECT_TRUE(was_too_slow);
  watch.run();
  watch.add(300);
  ASSERT_TRUE(until([&] { return windows == 2; }));
  EXPECT_FALSE(was_too_slow);
}

TEST_F(RateWatchTest, CountsOnlyTheTimeBetweenRunAndStop) {
  const int64_t begin = wheel.now_ms();
  watch.run();
  watch.stop();
  const int64_t pause_ends = wheel.now_ms() + 500;
  ASSERT_TRUE(until([&] { return wheel.now_ms() >= pause_ends; }));
  EXPECT_EQ(0, windows);
  watch.run();
  ASSERT_TRUE(until([&] { return windows == 1; }));
  EXPECT_GE(wheel.now_ms() - begin, 700);
}

TEST_F(RateWatchTest, AMinimumRateOf0WatchesNothing) {
  RateWatch none(
      wheel, this, [](void*) { FAIL(); }, 0, Milliseconds{100});
  none.run();
  const int64_t end = wheel.now_ms() + 400;
  ASSERT_TRUE(until([&] { return wheel.now_ms() >= end; }));
}

}  // namespace
}  // namespace streamgate
