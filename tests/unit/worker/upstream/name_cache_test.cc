#include "worker/upstream/name_cache.h"

#include <gtest/gtest.h>

#include <string>

namespace streamgate {
namespace {

TEST(NameCache, AnAnswerIsToBeRefreshedInTheLastQuarterOfItsTtl) {
  NameCache cache;
  cache.keep("a.test", {"", {*IpAddress::parse("1.1.1.1")}}, 60'000, 0);
  ASSERT_NE(cache.find("a.test", 0), nullptr);
  EXPECT_EQ(cache.find("a.test", 0)->refresh_ms, 45'000);
  cache.keep_failure("none.test", {Reason::dns_failed, {}}, 0);
  EXPECT_EQ(cache.find("none.test", 0)->refresh_ms, INT64_MAX);
}

TEST(NameCache, AFailureDoesNotReplaceAddressesWithTtlLeft) {
  NameCache cache;
  cache.keep("a.test", {"", {*IpAddress::parse("1.1.1.1")}}, 60'000, 0);
  cache.keep_failure("a.test", {Reason::dns_failed, {}}, 59'999);
  ASSERT_NE(cache.find("a.test", 59'999), nullptr);
  EXPECT_FALSE(cache.find("a.test", 59'999)->failure);
  cache.keep_failure("a.test", {Reason::dns_failed, {}}, 60'000);
  ASSERT_NE(cache.find("a.test", 60'000), nullptr);
  EXPECT_TRUE(cache.find("a.test", 60'000)->failure);
}

TEST(NameCache, AFullCacheKeepsAddressesUntilTheirTtl) {
  NameCache cache;
  const ResolvedName found{"", {*IpAddress::parse("1.1.1.1")}};
  const auto name = [](size_t i) { return "n" + std::to_string(i) + ".test"; };
  for (size_t i = 0; i < NameCache::kMaxNames; ++i) cache.keep(name(i), found, 60'000, 0);
  cache.keep("stranger.test", found, 60'000, 1'000);
  EXPECT_EQ(cache.find("stranger.test", 1'000), nullptr);
  for (size_t i = 0; i < NameCache::kMaxNames; ++i) EXPECT_NE(cache.find(name(i), 59'999), nullptr);
  cache.keep("stranger.test", found, 60'000, 60'000);
  EXPECT_NE(cache.find("stranger.test", 60'000), nullptr);
  EXPECT_EQ(cache.size(), 1U);
}

TEST(NameCache, AddressesReplaceFailuresInAFullCache) {
  NameCache cache;
  const ResolvedName found{"", {*IpAddress::parse("1.1.1.1")}};
  for (size_t i = 0; i < NameCache::kMaxNames; ++i) {
    cache.keep_failure("n" + std::to_string(i) + ".test", {Reason::dns_failed, {}}, 0);
  }
  cache.keep("a.test", found, 60'000, 1'000);
  EXPECT_NE(cache.find("a.test", 1'000), nullptr);
}

}  // namespace
}  // namespace streamgate
