#include "worker/loop/heap.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>
#include <span>
#include <vector>

#include "worker/loop/event.h"

namespace streamgate {
namespace {

#if defined(__SANITIZE_ADDRESS__) || !defined(__GLIBC__)
constexpr bool kUsesGlibcHeap = false;
#else
constexpr bool kUsesGlibcHeap = true;
#endif

constexpr size_t kMib = size_t{1} << 20U;
constexpr std::array<size_t, 1> kOneSize{2000};
constexpr std::array<size_t, 7> kManySizes{200, 5900, 1100, 3100, 4300, 700, 2500};

size_t resident_bytes() {
  size_t resident = 0;
  const std::unique_ptr<FILE, Freer<fclose>> file(std::fopen("/proc/self/statm", "r"));
  if (file == nullptr || std::fscanf(file.get(), "%*u %zu", &resident) != 1) return 0;
  return resident * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

double thread_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

class HeapTrimTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!kUsesGlibcHeap) GTEST_SKIP() << "the heap is not glibc's";
    trim = std::make_unique<HeapTrim>(wheel);
  }

  // One size after the other.
  static std::vector<std::unique_ptr<char[]>> blocks_of(size_t bytes,
                                                        std::span<const size_t> sizes = kOneSize) {
    std::vector<std::unique_ptr<char[]>> blocks;
    for (size_t sum = 0; sum < bytes;) {
      const size_t size = sizes[blocks.size() % sizes.size()];
      blocks.emplace_back(new char[size]);
      std::memset(blocks.back().get(), 1, size);
      sum += size;
    }
    return blocks;
  }

  // A check, and all slices of what it begins.
  void check() {
    trim->check();
    while (trim->is_releasing()) trim->release_slice();
  }

  // Fills 32 MiB of the heap, and frees all but one block in 64: none of it is at the end.
  void fragment() { fragment(32 * kMib, kOneSize, 64); }
  void fragment(size_t bytes, std::span<const size_t> sizes, size_t kept_every) {
    auto blocks = blocks_of(bytes, sizes);
    for (size_t i = 0; i < blocks.size(); i += kept_every) kept.push_back(std::move(blocks[i]));
    kept.push_back(std::move(blocks.back()));
  }

  EventBase base{event_base_new()};
  TimerWheel wheel{base.get()};
  std::unique_ptr<HeapTrim> trim;
  std::vector<std::unique_ptr<char[]>> kept;
};

TEST_F(HeapTrimTest, ReturnsMemoryThatWasFreeAtTwoChecks) {
  const size_t before = resident_bytes();
  fragment();
  ASSERT_GT(resident_bytes(), before + 24 * kMib);
  check();
  EXPECT_GT(resident_bytes(), before + 24 * kMib) << "it may be needed again at once";
  check();
  EXPECT_LT(resident_bytes(), before + 8 * kMib);
}

TEST_F(HeapTrimTest, ReturnsMoreThanFiveMib) {
  fragment(5888 * 1024, kOneSize, 64);
  for (int i = 0; i < 2; ++i) trim->check();
  EXPECT_TRUE(trim->is_releasing());
}

TEST_F(HeapTrimTest, KeepsFourMib) {
  fragment(4 * kMib, kOneSize, 64);
  for (int i = 0; i < 2; ++i) trim->check();
  EXPECT_FALSE(trim->is_releasing());
}

TEST_F(HeapTrimTest, ReturnsMemoryThatWasUsedSinceTheLastRelease) {
  fragment();
  for (int i = 0; i < 2; ++i) check();
  const size_t trimmed = resident_bytes();
  fragment();
  ASSERT_GT(resident_bytes(), trimmed + 24 * kMib);
  for (int i = 0; i < 2; ++i) check();
  EXPECT_LT(resident_bytes(), trimmed + 8 * kMib);
}

TEST_F(HeapTrimTest, ReturnsMemoryInSlices) {
  fragment();
  trim->check();
  EXPECT_FALSE(trim->is_releasing());
  const size_t before = resident_bytes();
  trim->check();
  int slices = 0;
  for (size_t last = before; trim->is_releasing(); ++slices) {
    trim->release_slice();
    const size_t now = resident_bytes();
    EXPECT_LT(last, now + 2 * HeapRelease::kSliceBytes);
    last = now;
  }
  EXPECT_GE(slices, 4);
  EXPECT_LT(resident_bytes(), before - 24 * kMib);
}

// malloc_trim() needed 20 ms for these blocks.
TEST_F(HeapTrimTest, NoSliceTakesLong) {
  constexpr double kMaxMs = 10;
  fragment(160 * kMib, kManySizes, 8);
  trim->check();
  trim->check();
  ASSERT_TRUE(trim->is_releasing());
  double longest = 0;
  while (trim->is_releasing()) {
    const double begun = thread_ms();
    trim->release_slice();
    longest = std::max(longest, thread_ms() - begun);
  }
  EXPECT_LT(longest, kMaxMs);
}

// A release cannot return a page with a live block. Later the same memory may be free as a whole.
TEST_F(HeapTrimTest, ReturnsMemoryThatAnEarlierReleaseCouldNotReturn) {
  auto blocks = blocks_of(32 * kMib);
  for (size_t i = 0; i + 1 < blocks.size(); i += 2) blocks[i].reset();
  for (int i = 0; i < 2; ++i) check();
  const size_t full = resident_bytes();
  for (auto& block : blocks) {
    if (!block) block.reset(new char[kOneSize[0]]);
  }
  check();
  std::sort(blocks.begin(), blocks.end());  // by address
  for (size_t i = 0; i < blocks.size() / 2; ++i) blocks[i].reset();
  for (int i = 0; i < 2; ++i) check();
  EXPECT_LT(resident_bytes(), full - 8 * kMib);
}

}  // namespace
}  // namespace streamgate
