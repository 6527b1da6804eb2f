#include "worker/client/accept_balance.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

namespace streamgate {
namespace {

constexpr int64_t kNow = 1'000'000;

class AcceptBalanceTest : public testing::Test {
 protected:
  AcceptBalanceTest() {
    for (Assignment& assignment : assignments) assignment.generation = 7;
    for (Column& column : columns) {
      column.slot.state = WorkerState::ready;
      column.slot.beat_ms = kNow;
    }
  }

  // Accepts that many connections. Returns how often the worker wants to pause.
  int pauses(int accepts, int64_t now_ms = kNow) {
    int paused = 0;
    for (int i = 0; i < accepts; ++i) {
      ++columns[0].slot.connections_now;
      if (balance.wants_pause(now_ms, [this] { return waiting; })) ++paused;
    }
    return paused;
  }
  void peer_accepts() { count(columns[1].slot.counters, Counter::connections_accepted); }

  Board board;
  std::array<Assignment, 3> assignments;
  std::array<Column, 3> columns;
  uint64_t waiting = 0;  // in the queue of the listening socket
  AcceptBalance balance{{board, assignments, columns}, columns[0].slot};
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
  columns[0].slot.connections_now = 4;
  EXPECT_FALSE(balance.is_ahead(kNow));
}

TEST_F(AcceptBalanceTest, AWorkerThatIsBehindDoesNotPause) {
  columns[1].slot.connections_now = columns[2].slot.connections_now = 1'000;
  EXPECT_EQ(pauses(900), 0);
}

TEST_F(AcceptBalanceTest, AWorkerIsComparedWithTheLeastLoadedOne) {
  columns[1].slot.connections_now = 1'000;
  EXPECT_EQ(pauses(40), 9);
}

TEST_F(AcceptBalanceTest, DrainingAndOlderWorkersDoNotCount) {
  columns[1].slot.state = WorkerState::draining;
  assignments[2].generation = 6;
  EXPECT_EQ(pauses(100), 0);
}

TEST_F(AcceptBalanceTest, AHungWorkerDoesNotCount) {
  assignments[2].generation = 0;
  columns[1].slot.beat_ms = kNow - 10'000;
  EXPECT_EQ(pauses(100), 0);
}

TEST_F(AcceptBalanceTest, ADrainingWorkerIsIgnoredAtOnceAndANewOneCountsWithinASecond) {
  assignments[2].generation = 0;
  EXPECT_GT(pauses(100), 0);
  columns[1].slot.state = WorkerState::draining;
  EXPECT_EQ(pauses(100), 0);
  assignments[2].generation = 7;
  EXPECT_GT(pauses(100, kNow + 1'000), 0);
}

TEST_F(AcceptBalanceTest, AQueueLongerThanTheLeadIsAcceptedWithoutAPause) {
  waiting = 40;
  EXPECT_EQ(pauses(40), 0);
  EXPECT_EQ(pauses(4), 1);
}

TEST_F(AcceptBalanceTest, StopsPausingAfterThreePausesWithoutAnAcceptOfAPeer) {
  waiting = 1;
  EXPECT_EQ(pauses(400), 3);
  peer_accepts();
  EXPECT_EQ(pauses(400), 3);
}

TEST_F(AcceptBalanceTest, AnEmptyQueueResetsTheCountOfVainPauses) {
  waiting = 1;
  EXPECT_EQ(pauses(400), 3);
  waiting = 0;
  EXPECT_EQ(pauses(40), 10);
}

TEST(ConnectionsWaiting, IsTheLengthOfTheQueue) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(::bind(listener, generic, size), 0);
  ASSERT_EQ(::listen(listener, 8), 0);
  ASSERT_EQ(::getsockname(listener, generic, &size), 0);
  EXPECT_EQ(connections_waiting(listener), 0u);
  std::array<int, 3> clients{};
  for (int& client : clients) {
    client = ::socket(AF_INET, SOCK_STREAM, 0);
    ASSERT_EQ(::connect(client, generic, size), 0);
  }
  EXPECT_EQ(connections_waiting(listener), 3u);
  for (const int client : clients) ::close(client);
  ::close(listener);
  const int other = ::socket(AF_UNIX, SOCK_STREAM, 0);
  EXPECT_EQ(connections_waiting(other), 0u);
  ::close(other);
}

}  // namespace
}  // namespace streamgate
