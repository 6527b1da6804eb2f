#include "worker/client/accept_balance.h"

#include <gtest/gtest.h>

#include <array>

namespace streamgate {
namespace {

constexpr int64_t kNow = 1'000'000;

class AcceptBalanceTest : public testing::Test {
 protected:
  AcceptBalanceTest() {
    for (Slot& slot : slots) {
      slot.state = WorkerState::ready;
      slot.generation = 7;
      slot.beat_ms = kNow;
    }
  }

  // Accepts that many connections. Returns how often the worker wants to pause.
  int pauses(int accepts, int64_t now_ms = kNow) {
    int count = 0;
    for (int i = 0; i < accepts; ++i) {
      ++slots[0].connections_now;
      if (balance.wants_pause(now_ms)) ++count;
    }
    return count;
  }

  std::array<Slot, 3> slots;
  AcceptBalance balance{slots, slots[0]};
};

TEST_F(AcceptBalanceTest, AWorkerThatIsFarAheadPausesAfterEveryFourConnections) {
  EXPECT_EQ(pauses(4), 0);  // four ahead is allowed
  EXPECT_EQ(pauses(3), 0);
  EXPECT_EQ(pauses(1), 1);
  EXPECT_EQ(pauses(40), 10);
}

TEST_F(AcceptBalanceTest, AWorkerThatIsLevelAgainEndsItsPause) {
  EXPECT_GT(pauses(40), 0);
  EXPECT_TRUE(balance.is_ahead(kNow));
  slots[0].connections_now = 4;
  EXPECT_FALSE(balance.is_ahead(kNow));
}

TEST_F(AcceptBalanceTest, AWorkerThatIsBehindDoesNotPause) {
  slots[1].connections_now = slots[2].connections_now = 1'000;
  EXPECT_EQ(pauses(900), 0);
}

TEST_F(AcceptBalanceTest, AWorkerIsComparedWithTheLeastLoadedOne) {
  slots[1].connections_now = 1'000;
  EXPECT_EQ(pauses(40), 9);
}

TEST_F(AcceptBalanceTest, DrainingAndOlderWorkersDoNotCount) {
  slots[1].state = WorkerState::draining;
  slots[2].generation = 6;
  EXPECT_EQ(pauses(100), 0);
}

TEST_F(AcceptBalanceTest, AHungWorkerDoesNotCount) {
  slots[2].state = WorkerState::vacant;
  slots[1].beat_ms = kNow - 10'000;
  EXPECT_EQ(pauses(100), 0);
}

TEST_F(AcceptBalanceTest, ADrainingWorkerIsIgnoredAtOnceAndANewOneCountsWithinASecond) {
  slots[2].state = WorkerState::vacant;
  EXPECT_GT(pauses(100), 0);
  slots[1].state = WorkerState::draining;
  EXPECT_EQ(pauses(100), 0);
  slots[2].state = WorkerState::ready;
  EXPECT_GT(pauses(100, kNow + 1'000), 0);
}

}  // namespace
}  // namespace streamgate
