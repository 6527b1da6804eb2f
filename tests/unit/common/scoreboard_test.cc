#include "common/scoreboard.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>

namespace streamgate {
namespace {

TEST(Scoreboard, TakesTheLowestVacantSlotUntilNoneIsLeft) {
  auto made = Scoreboard::create(2);
  ASSERT_TRUE(made);
  Scoreboard board = *std::move(made);
  EXPECT_EQ(0U, board.take(7));
  EXPECT_EQ(1U, board.take(7));
  EXPECT_EQ(std::nullopt, board.take(7));
  board.retire(0);
  EXPECT_EQ(0U, board.take(7));
  EXPECT_EQ(WorkerState::starting, board.column(0).slot.state.load());
}

TEST(Scoreboard, TotalsSurviveTheReuseOfASlot) {
  auto made = Scoreboard::create(2);
  ASSERT_TRUE(made);
  Scoreboard board = *std::move(made);
  const auto total = [&] { return total_of(Counter::bytes_to_clients, board.view()); };
  board.take(7);
  board.take(7);
  count(board.column(0).slot.counters, Counter::bytes_to_clients, 100);
  count(board.column(1).slot.counters, Counter::bytes_to_clients, 10);
  board.column(0).slot.exchanges_now = 3;
  EXPECT_EQ(110U, total());
  board.retire(0);
  EXPECT_EQ(110U, total());
  EXPECT_EQ(0U, board.column(0).slot.exchanges_now.load());
  board.take(7);
  EXPECT_EQ(0U, board.column(0).slot.counters[Counter::bytes_to_clients].load());
  count(board.column(0).slot.counters, Counter::bytes_to_clients);
  EXPECT_EQ(111U, total());
}

TEST(Scoreboard, APartSharesNoPageWithAnother) {
  auto board = *Scoreboard::create(3);
  const ScoreboardView view = board.view();
  const auto offset = [&](const void* part) {
    return static_cast<size_t>(static_cast<const char*>(part) -
                               reinterpret_cast<const char*>(&view.board));
  };
  EXPECT_EQ(0U, reinterpret_cast<uintptr_t>(&view.board) % kScoreboardPage);
  EXPECT_GE(offset(view.assignments.data()), sizeof(Board));
  for (const Column& column : view.columns) EXPECT_EQ(0U, offset(&column) % kScoreboardPage);
  EXPECT_GE(offset(view.columns.data()), offset(view.assignments.data() + 3));
  EXPECT_EQ(arrivals_offset(3), offset(view.columns.data() + 3));
  EXPECT_EQ(arrivals_offset(3), offset(&board.arrivals()));
  EXPECT_GE(scoreboard_size(3), arrivals_offset(3) + sizeof(ArrivalTable));
}

TEST(Scoreboard, RetireClearsTheWholeColumn) {
  auto board = *Scoreboard::create(2);
  board.take(1);
  board.take(1);
  std::memset(static_cast<void*>(&board.column(0)), 0xff, sizeof(Column));
  count(board.column(1).slot.counters, Counter::bytes_to_clients, 5);
  board.retire(0);
  EXPECT_FALSE(board.view().is_live(0));
  const auto* bytes = reinterpret_cast<const unsigned char*>(&board.column(0));
  EXPECT_TRUE(std::all_of(bytes, bytes + sizeof(Column), [](unsigned char c) { return c == 0; }));
  EXPECT_EQ(5U, board.column(1).slot.counters[Counter::bytes_to_clients]);
}

// A worker that has slot 1 of three, in a process of its own.
class ConfinedTest : public testing::Test {
 protected:
  ConfinedTest() {
    board.take(7);
    board.take(7);
  }

  // The wait status of a child that confines itself and then calls `body`.
  template <class Body>
  int status_of(Body body) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::signal(SIGSEGV, SIG_DFL);  // not the sanitizer's report
      if (!board.confine(1)) ::_exit(99);
      ::_exit(body() ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
  }
  bool faults(std::atomic<uint64_t>& value) {
    const int status = status_of([&] { return ++value == 0; });
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
  }

  Scoreboard board = *Scoreboard::create(3);
};

TEST_F(ConfinedTest, AWorkerWritesItsOwnColumnAndTheMasterReadsIt) {
  EXPECT_EQ(0, status_of([this] {
              count(board.column(1).slot.counters, Counter::bytes_to_clients, 12);
              *(reinterpret_cast<char*>(&board.column(2)) - 1) = 'x';  // the last byte of column 1
              return true;
            }));
  EXPECT_EQ(12U, total_of(Counter::bytes_to_clients, board.view()));
}

TEST_F(ConfinedTest, EveryWorkerWritesTheArrivals) {
  EXPECT_EQ(0, status_of([this] { return board.arrivals().take(5, 700, 1000, 1); }));
  EXPECT_EQ(700, board.arrivals().ahead_us(5, 1));
}

TEST_F(ConfinedTest, AWorkerReadsLaterWritesOfOthers) {
  int ends[2];
  ASSERT_EQ(0, ::pipe(ends));
  const pid_t child = ::fork();
  if (child == 0) {
    char byte = 0;
    const bool told = board.confine(1) && ::read(ends[0], &byte, 1) == 1;
    ::_exit(told && board.board().service_stopping && board.column(0).slot.connections_now == 4 &&
                    board.column(2).slot.connections_now == 6
                ? 0
                : 1);
  }
  board.board().service_stopping = true;
  board.column(0).slot.connections_now = 4;
  board.column(2).slot.connections_now = 6;
  ASSERT_EQ(1, ::write(ends[1], "x", 1));
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(0, status);
}

TEST_F(ConfinedTest, AWriteToAnyOtherPartFaults) {
  EXPECT_TRUE(faults(board.column(0).slot.connections_now));
  EXPECT_TRUE(faults(board.column(2).slot.connections_now));
  EXPECT_TRUE(faults(board.board().retired[Counter::bytes_to_clients]));
  // The view is const; the memory behind it decides.
  EXPECT_TRUE(faults(const_cast<std::atomic<uint64_t>&>(board.view().assignments[0].generation)));
  EXPECT_FALSE(faults(board.column(1).slot.connections_now));
}

TEST_F(ConfinedTest, AWorkerCannotMakeAnotherPartWritable) {
  const auto is_refused = [](void* part, size_t size) {
    return ::mprotect(part, size, PROT_READ | PROT_WRITE) != 0 && errno == EACCES;
  };
  EXPECT_EQ(0, status_of([&] {
              return is_refused(&board.column(0), sizeof(Column)) &&
                     is_refused(&board.column(2), sizeof(Column)) &&
                     is_refused(&board.board(), 4096);
            }));
}

TEST_F(ConfinedTest, AWorkerKeepsNoDescriptorOfTheScoreboard) {
  EXPECT_EQ(0, status_of([this] {
              std::error_code error;
              for (const auto& each : std::filesystem::directory_iterator("/proc/self/fd")) {
                const auto target = std::filesystem::read_symlink(each, error).string();
                if (target.find("streamgate-scoreboard") != std::string::npos) return false;
              }
              return board.file() == -1;
            }));
  EXPECT_GE(board.file(), 0);  // the master's
}

TEST_F(ConfinedTest, TheFileMayBeOpenedOnlyToReadIt) {
  struct stat info {};
  ASSERT_EQ(0, ::fstat(board.file(), &info));
  EXPECT_EQ(0400U, info.st_mode & 0777U);
}

}  // namespace
}  // namespace streamgate
