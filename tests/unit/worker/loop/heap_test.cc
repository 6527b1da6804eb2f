#include "worker/loop/heap.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <memory>
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
constexpr size_t kBlockBytes = 2000;
constexpr size_t kKeptEvery = 64;

size_t resident_bytes() {
  size_t resident = 0;
  const std::unique_ptr<FILE, Freer<fclose>> file(std::fopen("/proc/self/statm", "r"));
  if (file == nullptr || std::fscanf(file.get(), "%*u %zu", &resident) != 1) return 0;
  return resident * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

class HeapTrimTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!kUsesGlibcHeap) GTEST_SKIP() << "the heap is not glibc's";
    trim = std::make_unique<HeapTrim>(wheel);
  }

  static std::vector<std::unique_ptr<char[]>> blocks_of(size_t bytes) {
    std::vector<std::unique_ptr<char[]>> blocks(bytes / kBlockBytes);
    for (auto& block : blocks) {
      block.reset(new char[kBlockBytes]);
      std::memset(block.get(), 1, kBlockBytes);
    }
    return blocks;
  }

  // A check, and all slices of what it begins.
  void check() {
    trim->check();
    while (trim->is_releasing()) trim->release_slice();
  }

  // Fills 32 MiB of the heap, and frees all but one block in 64: none of it is at the end.
  void fragment() {
    auto blocks = blocks_of(32 * kMib);
    for (size_t i = 0; i < blocks.size(); i += kKeptEvery) kept.push_back(std::move(blocks[i]));
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

TEST_F(HeapTrimTest, ReturnsMemoryThatWasUsedSinceTheLastTrim) {
  fragment();
  for (int i = 0; i < 2; ++i) check();
  const size_t trimmed = resident_bytes();
  fragment();
  ASSERT_GT(resident_bytes(), trimmed + 24 * kMib);
  for (int i = 0; i < 2; ++i) check();
  EXPECT_LT(resident_bytes(), trimmed + 8 * kMib);
}

TEST_F(HeapTrimTest, ReturnsLargeBlocksInSlices) {
  fragment();
  trim->check();
  EXPECT_FALSE(trim->is_releasing());
  trim->check();
  size_t resident = resident_bytes();
  for (int slices = 0; slices < 3; ++slices) {
    ASSERT_TRUE(trim->is_releasing());
    trim->release_slice();
    const size_t now = resident_bytes();
    EXPECT_GT(resident, now + HeapRelease::kSliceBytes / 2);
    EXPECT_LT(resident, now + 2 * HeapRelease::kSliceBytes);
    resident = now;
  }
}

// A trim cannot return a page with a live block. Later the same memory may be free as a whole.
TEST_F(HeapTrimTest, ReturnsMemoryThatAnEarlierTrimCouldNotReturn) {
  auto blocks = blocks_of(32 * kMib);
  for (size_t i = 0; i + 1 < blocks.size(); i += 2) blocks[i].reset();
  for (int i = 0; i < 2; ++i) check();
  const size_t full = resident_bytes();
  for (auto& block : blocks) {
    if (!block) block.reset(new char[kBlockBytes]);
  }
  check();
  for (size_t i = 0; i < blocks.size() / 2; ++i) blocks[i].reset();
  for (int i = 0; i < 2; ++i) check();
  EXPECT_LT(resident_bytes(), full - 8 * kMib);
}

}  // namespace
}  // namespace streamgate
