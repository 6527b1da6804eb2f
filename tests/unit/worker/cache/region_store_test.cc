#include "worker/cache/region_store.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cstring>
#include <optional>
#include <vector>

namespace streamgate {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20U;

class RegionStoreTest : public ::testing::Test {
 protected:
  RegionStoreTest()
      : directory_(*CacheDirectory::create(2)), seat_(directory_, *directory_.take()) {
    void* memory = ::mmap(nullptr, kCacheBodyBytes, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_NORESERVE, directory_.files().bodies.get(), 0);
    memory_ = static_cast<char*>(memory);
  }
  ~RegionStoreTest() override { ::munmap(memory_, kCacheBodyBytes); }

  RegionStore store(uint64_t limit) { return RegionStore(seat_, memory_, limit, 16 * kMiB); }

  uint64_t pages_of_file() const {
    struct stat info {};
    ::fstat(directory_.files().bodies.get(), &info);
    return static_cast<uint64_t>(info.st_blocks) * 512;
  }

  CacheDirectory directory_;
  CacheSeat seat_;
  char* memory_ = nullptr;
};

TEST_F(RegionStoreTest, RegionsDoNotOverlap) {
  RegionStore regions = store(64 * kMiB);
  std::vector<std::pair<uint64_t, uint64_t>> taken;
  for (const uint64_t size :
       {uint64_t{1}, 256 * 1024UL, 256 * 1024 + 1UL, 4 * kMiB, 4 * kMiB + 1}) {
    for (int i = 0; i < 2; ++i) {
      const auto region = regions.take(size);
      ASSERT_TRUE(region) << size;
      const uint64_t begin = regions.offset_of(*region);
      EXPECT_LE(begin + size, kCacheBodyBytes);
      for (const auto& [other, end] : taken) EXPECT_TRUE(begin + size <= other || end <= begin);
      taken.emplace_back(begin, begin + size);
    }
  }
}

TEST_F(RegionStoreTest, TheLimitHoldsForAllWorkers) {
  RegionStore regions = store(8 * kMiB);
  directory_.column(1).held_bytes = 5 * kMiB;
  EXPECT_FALSE(regions.take(4 * kMiB));
  EXPECT_EQ(0U, directory_.column(0).held_bytes.load()) << "what was not taken is not counted";
  EXPECT_TRUE(regions.take(3 * kMiB));
  EXPECT_FALSE(regions.take(1));
  EXPECT_EQ(3 * kMiB, directory_.column(0).held_bytes.load());
}

TEST_F(RegionStoreTest, ARegionIsRecycledWithItsPages) {
  RegionStore regions = store(8 * kMiB);
  const auto first = regions.take(kMiB);
  std::memset(regions.memory_of(*first), 1, kMiB);
  regions.give_back(*first);
  EXPECT_EQ(kMiB, regions.held());
  const auto second = regions.take(kMiB / 2);
  EXPECT_EQ(regions.offset_of(*first), regions.offset_of(*second));
  EXPECT_EQ(kMiB, regions.held()) << "it keeps the pages of the larger body";
  EXPECT_EQ(kMiB, regions.held_by(*second));
  EXPECT_EQ(kMiB / 2, regions.held_by(*regions.take(kMiB / 2)));
  EXPECT_EQ(kMiB, pages_of_file());
}

TEST_F(RegionStoreTest, ARegionGivenBackWithoutPagesGetsNewOnes) {
  RegionStore regions = store(8 * kMiB);
  const auto first = regions.take(kMiB);
  std::memset(regions.memory_of(*first), 1, kMiB);
  regions.give_back_without_pages(*first);
  EXPECT_EQ(0U, regions.held());
  EXPECT_EQ(0U, pages_of_file());
  const auto second = regions.take(kMiB);
  EXPECT_EQ(regions.offset_of(*first), regions.offset_of(*second));
  EXPECT_EQ(0, *regions.memory_of(*second));
  EXPECT_EQ(kMiB, regions.held());
}

TEST_F(RegionStoreTest, PagesOfRecycledRegionsMakeRoomForOthers) {
  RegionStore regions = store(4 * kMiB);
  const auto small = regions.take(256 * 1024);
  std::memset(regions.memory_of(*small), 1, 256 * 1024);
  regions.give_back(*small);
  EXPECT_TRUE(regions.take(4 * kMiB));
  EXPECT_EQ(4 * kMiB, regions.held());
  EXPECT_EQ(0U, pages_of_file());
}

TEST_F(RegionStoreTest, PagesThatStayFreeGoBack) {
  RegionStore regions = store(8 * kMiB);
  const auto region = regions.take(kMiB);
  std::memset(regions.memory_of(*region), 1, kMiB);
  regions.trim();
  regions.give_back(*region);
  regions.trim();
  EXPECT_EQ(kMiB, pages_of_file());
  regions.trim();
  EXPECT_EQ(0U, pages_of_file());
  EXPECT_EQ(0U, regions.held());
  EXPECT_EQ(0U, directory_.column(0).held_bytes.load());
}

TEST_F(RegionStoreTest, FreeRegionsAreShrunkDownToALimit) {
  RegionStore regions = store(64 * kMiB);
  std::vector<RegionStore::Region> taken;
  for (int i = 0; i < 6; ++i) taken.push_back(*regions.take(kMiB));
  for (int i = 0; i < 4; ++i) regions.give_back(taken[static_cast<size_t>(i)]);
  regions.shrink_to(7 * kMiB);
  EXPECT_EQ(6 * kMiB, regions.held());
  regions.shrink_to(5 * kMiB);
  EXPECT_EQ(5 * kMiB, regions.held());
  regions.shrink_to(0);
  EXPECT_EQ(2 * kMiB, regions.held()) << "those that are in use";
}

TEST_F(RegionStoreTest, ABodyLargerThanAllRegionsIsRefused) {
  EXPECT_FALSE(store(64 * kMiB).take(17 * kMiB));
}

}  // namespace
}  // namespace streamgate
