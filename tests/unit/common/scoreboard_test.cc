#include "common/scoreboard.h"

#include <gtest/gtest.h>

namespace streamgate {
namespace {

TEST(Scoreboard, HandsOutTheLowestVacantSlotUntilNoneIsLeft) {
  auto made = Scoreboard::create(2);
  ASSERT_TRUE(made);
  Scoreboard board = *std::move(made);
  EXPECT_EQ(0U, board.take());
  EXPECT_EQ(1U, board.take());
  EXPECT_EQ(std::nullopt, board.take());
  board.retire(0);
  EXPECT_EQ(0U, board.take());
  EXPECT_EQ(WorkerState::starting, board.slots()[0].state.load());
}

TEST(Scoreboard, TotalsSurviveTheReuseOfASlot) {
  auto made = Scoreboard::create(2);
  ASSERT_TRUE(made);
  Scoreboard board = *std::move(made);
  const auto total = [&] {
    return total_of(&Counters::bytes_to_clients, board.board(), board.slots());
  };
  board.take();
  board.take();
  count(board.slots()[0].counters.bytes_to_clients, 100);
  count(board.slots()[1].counters.bytes_to_clients, 10);
  board.slots()[0].exchanges_now = 3;
  EXPECT_EQ(110U, total());
  board.retire(0);
  EXPECT_EQ(110U, total());
  EXPECT_EQ(0U, board.slots()[0].exchanges_now.load());
  board.take();
  EXPECT_EQ(0U, board.slots()[0].counters.bytes_to_clients.load());
  count(board.slots()[0].counters.bytes_to_clients);
  EXPECT_EQ(111U, total());
}

TEST(Scoreboard, EachReasonHasACounterOfItsOwn) {
  Counters counters;
  for (size_t i = 0; i < kReasonCount; ++i) {
    const auto reason = static_cast<Reason>(i);
    EXPECT_EQ("failed_" + std::string(token_of(reason)), kFailureCounters[i].name);
    count(failures_of(counters, reason), i + 1);
  }
  for (size_t i = 0; i < kReasonCount; ++i) {
    const CounterInfo& info = kCounters[kGeneralCounters.size() + i];
    EXPECT_EQ(kFailureCounters[i].name, info.name);
    EXPECT_EQ(i + 1, (counters.*info.member).load());
  }
}

TEST(Scoreboard, SlotsDoNotShareCacheLines) {
  EXPECT_EQ(0U, sizeof(Slot) % 64);
  EXPECT_EQ(0U, sizeof(Board) % 64);
}

}  // namespace
}  // namespace streamgate
