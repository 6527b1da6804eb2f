#include "worker/upstream/connection_places.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <limits>
#include <memory>
#include <new>

namespace streamgate {
namespace {

constexpr uint64_t kKey = 77;
constexpr int64_t kNow = 1'000'000;
constexpr int64_t kNobody = std::numeric_limits<int64_t>::max();

class ConnectionPlacesTest : public testing::Test {
 protected:
  static constexpr size_t kWorkers = 4;

  ConnectionPlacesTest() : scoreboard(Scoreboard::create(8).value()) {
    for (size_t i = 0; i < kWorkers; ++i) scoreboard.take(1);
  }
  std::unique_ptr<ConnectionPlaces> worker(size_t slot) {
    return std::make_unique<ConnectionPlaces>(scoreboard.column(slot).connections, slot,
                                              scoreboard.view(), std::chrono::milliseconds(5000));
  }

  Scoreboard scoreboard;
};

TEST_F(ConnectionPlacesTest, TheLimitHoldsOverAllWorkers) {
  const auto one = worker(0);
  const auto two = worker(3);
  EXPECT_TRUE(one->claim(kKey, 3));
  EXPECT_TRUE(two->claim(kKey, 3));
  EXPECT_TRUE(one->claim(kKey, 3));
  EXPECT_FALSE(one->claim(kKey, 3));
  EXPECT_FALSE(two->claim(kKey, 3));
  EXPECT_TRUE(two->claim(kKey + 1, 1));
  EXPECT_TRUE(two->claim(kKey + ConnectionTable::kSets, 1));  // the same rows
  one->release(kKey);
  EXPECT_TRUE(two->claim(kKey, 3));
}

TEST_F(ConnectionPlacesTest, TheConnectionsOfADeadWorkerDoNotCount) {
  EXPECT_TRUE(worker(1)->claim(kKey, 1));
  EXPECT_FALSE(worker(0)->claim(kKey, 1));
  scoreboard.retire(1);
  EXPECT_TRUE(worker(0)->claim(kKey, 1));
}

TEST_F(ConnectionPlacesTest, ARowIsUsedAgainWhenItIsEmpty) {
  const auto one = worker(0);
  for (uint64_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(one->claim(kKey + i * ConnectionTable::kSets, 1));
    one->release(kKey + i * ConnectionTable::kSets);
  }
  for (uint64_t i = 0; i < ConnectionTable::kWays; ++i) {
    ASSERT_TRUE(one->claim(kKey + i * ConnectionTable::kSets, 1));
  }
  EXPECT_FALSE(one->claim(kKey + 100 * ConnectionTable::kSets, 1));  // all rows are in use
  EXPECT_FALSE(one->set_waiting_since(kKey + 100 * ConnectionTable::kSets, kNow));
}

TEST_F(ConnectionPlacesTest, TheLongestWaitingRequestOfAnotherWorkerComesFirst) {
  const auto one = worker(0);
  const auto two = worker(1);
  EXPECT_FALSE(one->is_any_wanted());
  ASSERT_TRUE(two->set_waiting_since(kKey, kNow));
  EXPECT_TRUE(one->is_any_wanted());
  EXPECT_TRUE(one->is_wanted_elsewhere(kKey, kNobody, kNow));
  EXPECT_FALSE(one->is_wanted_elsewhere(kKey + 1, kNobody, kNow));
  EXPECT_FALSE(two->is_wanted_elsewhere(kKey, kNobody, kNow));  // its own
  ASSERT_TRUE(one->set_waiting_since(kKey, kNow - 1));
  EXPECT_FALSE(one->is_wanted_elsewhere(kKey, kNow - 1, kNow));
  EXPECT_TRUE(two->is_wanted_elsewhere(kKey, kNow, kNow));
  ASSERT_TRUE(one->set_waiting_since(kKey, kNow));  // of equal times the lower slot is first
  EXPECT_FALSE(one->is_wanted_elsewhere(kKey, kNow, kNow));
  EXPECT_TRUE(two->is_wanted_elsewhere(kKey, kNow, kNow));
  ASSERT_TRUE(one->set_waiting_since(kKey, 0));
  EXPECT_FALSE(two->is_wanted_elsewhere(kKey, kNow, kNow));
  EXPECT_FALSE(two->is_any_wanted());
}

TEST_F(ConnectionPlacesTest, AStoppedWorkerDelaysOthersOnlyForThePatience) {
  ASSERT_TRUE(worker(1)->set_waiting_since(kKey, kNow));
  EXPECT_TRUE(worker(0)->is_wanted_elsewhere(kKey, kNobody, kNow + 5000));
  EXPECT_FALSE(worker(0)->is_wanted_elsewhere(kKey, kNobody, kNow + 5001));
}

// Processes claim and release at once. The number of places that are taken is counted beside the
// table, after each claim and before each release.
TEST_F(ConnectionPlacesTest, ProcessesTogetherNeverExceedTheLimit) {
  constexpr int kClaims = 20'000;  // of each process; the others end before the last one
  struct Shared {
    std::atomic<int> ready{0};
    std::atomic<int> taken{0};
    std::atomic<int> violations{0};
  };
  for (const int limit : {1, 2}) {
    void* memory =
        ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    auto& shared = *new (memory) Shared;
    for (size_t slot = 0; slot < kWorkers; ++slot) {
      if (::fork() != 0) continue;
      const auto places = worker(slot);
      ++shared.ready;
      while (shared.ready < static_cast<int>(kWorkers)) {
      }
      for (int i = 0; i < kClaims;) {
        if (!places->claim(kKey, static_cast<unsigned>(limit))) {
          ::sched_yield();
          continue;
        }
        ++i;
        if (++shared.taken > limit) ++shared.violations;
        --shared.taken;
        places->release(kKey);
      }
      ::_exit(0);
    }
    for (size_t i = 0; i < kWorkers; ++i) {
      int status = -1;
      ASSERT_GT(::wait(&status), 0);
      EXPECT_EQ(status, 0);
    }
    EXPECT_EQ(shared.violations, 0) << limit;
    EXPECT_EQ(shared.taken, 0);
    ::munmap(memory, sizeof(Shared));
  }
}

TEST(LimitKey, NamesTheOriginOrTheAccount) {
  HostSettings settings;
  const auto key = [&](const char* url) {
    return limit_key_of(parse_http_url(url).value(), settings);
  };
  EXPECT_EQ(key("http://a.test/x"), 0U);  // no limit
  settings.config.max_connections = 1;
  EXPECT_NE(key("http://a.test/x"), 0U);
  EXPECT_EQ(key("http://a.test/x"), key("http://a.test/y/z"));
  EXPECT_NE(key("http://a.test/x"), key("http://b.test/x"));
  EXPECT_NE(key("http://a.test/x"), key("http://a.test:81/x"));
  settings.config.max_connections_by = ConnectionsBy::account;
  EXPECT_EQ(key("http://a.test/live/u/p/1.ts"), key("http://a.test/live/u/p/2.ts?a=b"));
  EXPECT_EQ(key("http://a.test/live/u/p"), key("http://a.test/live/u/p/1.ts"));
  EXPECT_NE(key("http://a.test/live/u/p/1.ts"), key("http://a.test/live/v/p/1.ts"));
  EXPECT_NE(key("http://a.test/live/u/p/1.ts"), key("http://b.test/live/u/p/1.ts"));
}

}  // namespace
}  // namespace streamgate
