#include "common/keyed_counts.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <vector>

namespace streamgate {
namespace {

TEST(KeyedCounts, CountsEachKeyByItself) {
  const auto counts = std::make_unique<KeyedCounts>();
  EXPECT_EQ(0U, counts->count_of(0));
  const auto zero = counts->add(0);
  const auto one = counts->add(1);
  ASSERT_TRUE(zero && one);
  EXPECT_NE(*zero, *one);
  EXPECT_EQ(zero, counts->add(0));
  EXPECT_EQ(2U, counts->count_of(0));
  EXPECT_EQ(1U, counts->count_of(1));
  counts->remove(*zero);
  counts->remove(*zero);
  EXPECT_EQ(0U, counts->count_of(0));
  EXPECT_EQ(1U, counts->count_of(1));
}

TEST(KeyedCounts, RowsOfAMillionKeysAreReused) {
  const auto counts = std::make_unique<KeyedCounts>();
  for (uint64_t key = 0; key < 1'000'000; ++key) {
    const auto row = counts->add(key);
    ASSERT_TRUE(row);
    counts->remove(*row);
  }
  const KeyedCounts empty;
  EXPECT_EQ(0, std::memcmp(static_cast<const void*>(counts.get()), &empty, sizeof empty));
}

TEST(KeyedCounts, HasRoomForFortyThousandKeysAtATime) {
  const auto counts = std::make_unique<KeyedCounts>();
  size_t counted = 0;
  for (uint64_t key = 0; key < 40'000; ++key) counted += counts->add(key << 32U) ? 1 : 0;
  EXPECT_EQ(40'000U, counted);
  for (uint64_t key = 0; key < 40'000; ++key) ASSERT_EQ(1U, counts->count_of(key << 32U));
}

TEST(KeyedCounts, AKeyWithoutRoomIsNotCounted) {
  const auto counts = std::make_unique<KeyedCounts>();
  size_t counted = 0;
  for (uint64_t key = 0; key < 200'000; ++key) counted += counts->add(key) ? 1 : 0;
  EXPECT_LE(counted, KeyedCounts::kBuckets * KeyedCounts::kRowsPerBucket);
  EXPECT_GE(counted, 60'000U);
}

TEST(KeyedCounts, ACountStopsAtItsMaximum) {
  const auto counts = std::make_unique<KeyedCounts>();
  for (uint64_t i = 0; i < KeyedCounts::kMaxCount; ++i) ASSERT_TRUE(counts->add(7));
  EXPECT_FALSE(counts->add(7));
  EXPECT_EQ(KeyedCounts::kMaxCount, counts->count_of(7));
}

// A worker writes in its own process, and is killed at any instruction.
class SharedTest : public testing::Test {
 protected:
  SharedTest() {
    void* memory = ::mmap(nullptr, sizeof(KeyedCounts), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    counts_ = static_cast<KeyedCounts*>(memory);  // zero is the initial state
  }
  ~SharedTest() override { ::munmap(counts_, sizeof(KeyedCounts)); }

  // Keys come and go for ever; key k has at most k % 3 + 1. kAlways stays.
  [[noreturn]] void write_without_end() {
    counts_->add(kAlways);
    counts_->add(kAlways);
    for (uint64_t turn = 0;; ++turn) {
      std::vector<uint32_t> rows;
      for (uint64_t key = 0; key < 500; ++key) {
        for (uint64_t i = 0; i <= (key + turn) % 3; ++i) {
          if (const auto row = counts_->add(key)) rows.push_back(*row);
        }
      }
      for (const uint32_t row : rows) counts_->remove(row);
    }
  }

  static constexpr uint64_t kAlways = 1'000'000;
  KeyedCounts* counts_;
};

TEST_F(SharedTest, AReaderSeesNoCountOfAnotherKeyAndAKillLeavesNothingHalfWritten) {
  const pid_t child = ::fork();
  if (child == 0) write_without_end();
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
  bool has_seen_always = false;
  while (std::chrono::steady_clock::now() < end) {
    const uint64_t always = counts_->count_of(kAlways);
    ASSERT_TRUE(has_seen_always ? always == 2 : always <= 2);
    has_seen_always = always == 2;
    for (uint64_t key = 0; key < 500; ++key) ASSERT_LE(counts_->count_of(key), 3U);
  }
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_TRUE(has_seen_always);
  EXPECT_EQ(2U, counts_->count_of(kAlways));
  // The next worker takes the cleared memory.
  std::memset(static_cast<void*>(counts_), 0, sizeof *counts_);
  EXPECT_EQ(0U, counts_->count_of(kAlways));
}

}  // namespace
}  // namespace streamgate
