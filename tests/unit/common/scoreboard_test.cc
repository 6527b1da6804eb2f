#include "common/scoreboard.h"

#include <gtest/gtest.h>

namespace streamgate {
namespace {

TEST(Scoreboard, TakesTheLowestVacantSlotUntilNoneIsLeft) {
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
    return total_of(Counter::bytes_to_clients, board.board(), board.slots());
  };
  board.take();
  board.take();
  count(board.slots()[0].counters, Counter::bytes_to_clients, 100);
  count(board.slots()[1].counters, Counter::bytes_to_clients, 10);
  board.slots()[0].exchanges_now = 3;
  EXPECT_EQ(110U, total());
  board.retire(0);
  EXPECT_EQ(110U, total());
  EXPECT_EQ(0U, board.slots()[0].exchanges_now.load());
  board.take();
  EXPECT_EQ(0U, board.slots()[0].counters[Counter::bytes_to_clients].load());
  count(board.slots()[0].counters, Counter::bytes_to_clients);
  EXPECT_EQ(111U, total());
}

TEST(Scoreboard, SlotsDoNotShareCacheLines) {
  EXPECT_EQ(0U, sizeof(Slot) % 64);
  EXPECT_EQ(0U, sizeof(Board) % 64);
}

}  // namespace
}  // namespace streamgate
