#include "common/arrival_table.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>

namespace streamgate {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kNow = 77 * kSecond;

class ArrivalTableTest : public testing::Test {
 protected:
  // How many of `tries` requests at `now` pass at `rate` a second.
  int passed(uint64_t key, int64_t rate, int64_t now, int tries) {
    int count = 0;
    for (int i = 0; i < tries; ++i) count += table->take(key, kSecond / rate, kSecond, now) ? 1 : 0;
    return count;
  }

  std::unique_ptr<ArrivalTable> table = std::make_unique<ArrivalTable>();
};

TEST_F(ArrivalTableTest, AsManyPassAtOnceAsInASecond) {
  EXPECT_EQ(10, passed(1, 10, kNow, 50));
  EXPECT_EQ(0, passed(1, 10, kNow + kSecond / 10 - 1, 50));
  EXPECT_EQ(1, passed(1, 10, kNow + kSecond / 10, 50));
  EXPECT_EQ(5, passed(1, 10, kNow + 6 * kSecond / 10, 50));
  EXPECT_EQ(10, passed(1, 10, kNow + 60 * kSecond, 50));
}

TEST_F(ArrivalTableTest, EachKeyHasItsOwnTime) {
  EXPECT_EQ(1, passed(1, 1, kNow, 5));
  EXPECT_EQ(1, passed(2, 1, kNow, 5));
  EXPECT_EQ(0, passed(1, 1, kNow, 5));
}

TEST_F(ArrivalTableTest, ATimeIsCorrectAfterTheWrap) {
  constexpr int64_t kWrap = int64_t{1} << 40U;
  EXPECT_EQ(10, passed(1, 10, kWrap - 100, 50));
  EXPECT_EQ(0, passed(1, 10, kWrap + 100, 50));
  EXPECT_EQ(10, passed(1, 10, kWrap + kSecond, 50));
  // Half a turn later the old time seems to lie in the future.
  EXPECT_EQ(10, passed(1, 10, kWrap + kWrap / 2 + 2 * kSecond, 50));
}

TEST_F(ArrivalTableTest, ChargesAddUpToAMaximum) {
  EXPECT_EQ(0, table->charge(1, 300, kNow));
  EXPECT_EQ(300, table->charge(1, 500, kNow));
  EXPECT_EQ(700, table->ahead_us(1, kNow + 100));
  EXPECT_EQ(800, table->charge(1, -500, kNow));
  EXPECT_EQ(300, table->charge(1, -5'000, kNow));
  EXPECT_EQ(0, table->ahead_us(1, kNow));
  table->charge(1, 1'000 * kSecond, kNow);
  EXPECT_EQ(ArrivalTable::kMaxAheadUs, table->charge(1, 1'000 * kSecond, kNow));
  EXPECT_EQ(ArrivalTable::kMaxAheadUs, table->ahead_us(1, kNow));
}

TEST_F(ArrivalTableTest, AMillionAddressesDoNotFreeAClientAtItsLimit) {
  table->seed = 0x1234'5678'9abc'def0U;
  EXPECT_EQ(5, passed(7, 5, kNow, 50));
  // Each of them sends one request.
  for (uint64_t key = 1000; key < 1'001'000; ++key) {
    EXPECT_TRUE(table->take(key, kSecond / 5, kSecond, kNow));
  }
  EXPECT_EQ(0, passed(7, 5, kNow, 50));
}

TEST_F(ArrivalTableTest, TheOldestTimeMakesRoom) {
  // More clients than rows, each of them a second ahead: the last ones are known.
  for (uint64_t key = 0; key < 500'000; ++key) {
    table->charge(key, kSecond, kNow + static_cast<int64_t>(key));
  }
  int known = 0;
  for (uint64_t key = 499'000; key < 500'000; ++key) {
    known += table->ahead_us(key, kNow + 500'000) > 0 ? 1 : 0;
  }
  EXPECT_GT(known, 950);
}

// Two processes use one row at the same time; one of them is killed.
TEST(SharedArrivalTable, ProcessesShareATime) {
  void* memory = ::mmap(nullptr, sizeof(ArrivalTable), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto* table = static_cast<ArrivalTable*>(memory);
  constexpr int kEach = 20'000;
  const auto charge = [table] {
    for (int i = 0; i < kEach; ++i) table->charge(5, 10, kNow);
  };
  const pid_t child = ::fork();
  if (child == 0) {
    charge();
    ::_exit(0);
  }
  charge();
  ::waitpid(child, nullptr, 0);
  // A charge that loses 64 times is given up, so that no worker is stopped: a few of 40,000.
  EXPECT_LE(table->ahead_us(5, kNow), 2 * kEach * 10);
  EXPECT_GE(table->ahead_us(5, kNow), 2 * kEach * 10 / 100 * 99);
  const pid_t killed = ::fork();
  if (killed == 0) {
    for (;;) table->charge(6, 1, kNow);
  }
  while (table->ahead_us(6, kNow) == 0) {
  }
  ::kill(killed, SIGKILL);
  ::waitpid(killed, nullptr, 0);
  const int64_t left = table->ahead_us(6, kNow);
  EXPECT_EQ(left, table->charge(6, 1, kNow));
  ::munmap(memory, sizeof(ArrivalTable));
}

}  // namespace
}  // namespace streamgate
