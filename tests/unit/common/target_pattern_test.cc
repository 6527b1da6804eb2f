#include "common/target_pattern.h"

#include <gtest/gtest.h>

#include <string>

namespace streamgate {
namespace {

TargetPattern pattern(const std::string& text) { return *TargetPattern::parse(text); }

TEST(TargetPattern, AHostMatchesOnlyThatHost) {
  EXPECT_TRUE(pattern("Example.COM").matches_host("example.com", 443));
  EXPECT_TRUE(pattern("example.com.").matches_host("example.com", 443));
  EXPECT_FALSE(pattern("example.com").matches_host("a.example.com", 443));
  EXPECT_FALSE(pattern("example.com").matches_host("badexample.com", 443));
}

TEST(TargetPattern, ASuffixMatchesNamesBelowItAndNotItself) {
  EXPECT_TRUE(pattern("*.example.com").matches_host("a.example.com", 80));
  EXPECT_TRUE(pattern("*.example.com").matches_host("a.b.example.com", 80));
  EXPECT_FALSE(pattern("*.example.com").matches_host("example.com", 80));
  EXPECT_FALSE(pattern("*.example.com").matches_host("badexample.com", 80));
  EXPECT_FALSE(pattern("*.example.com").matches_host(".example.com", 80));
}

TEST(TargetPattern, APortLimitsEveryKindToThatPort) {
  EXPECT_TRUE(pattern("example.com:8080").matches_host("example.com", 8080));
  EXPECT_FALSE(pattern("example.com:8080").matches_host("example.com", 80));
  EXPECT_TRUE(pattern("*:8080").matches_host("anything", 8080));
  EXPECT_FALSE(pattern("*:8080").matches_host("anything", 80));
  EXPECT_TRUE(pattern("10.0.0.0/8:80").matches_address(*IpAddress::parse("10.1.1.1"), 80));
  EXPECT_FALSE(pattern("10.0.0.0/8:80").matches_address(*IpAddress::parse("10.1.1.1"), 81));
}

TEST(TargetPattern, NamesAndAddressesAreMatchedSeparately) {
  EXPECT_FALSE(pattern("10.0.0.0/8").matches_host("10.0.0.1", 80));
  EXPECT_FALSE(pattern("example.com").matches_address(*IpAddress::parse("10.0.0.1"), 80));
  EXPECT_TRUE(pattern("::1").matches_address(*IpAddress::parse("::1"), 80));
}

TEST(TargetPattern, EveryFormParsesBackFromItsText) {
  for (const char* text :
       {"example.com", "*.example.com", "example.com:80", "*:8080", "10.0.0.0/8", "10.0.0.0/8:80",
        "127.0.0.1:81", "::1", "[::1]:81", "[fd00::/8]:80", "my_host"}) {
    EXPECT_EQ(text, pattern(text).to_string());
    EXPECT_EQ(pattern(text), pattern(pattern(text).to_string()));
  }
}

TEST(TargetPattern, RefusesTextThatIsNotATarget) {
  for (const char* bad :
       {"", "*", ".", "*.", "a b", "http://example.com", "example.com/", "example.com:0",
        "example.com:x", "example.com:65536", "a*.example.com", "user@example.com", ":80"}) {
    EXPECT_FALSE(TargetPattern::parse(bad)) << bad;
  }
}

TEST(TargetPattern, APathMatchesItselfAndAllBelowIt) {
  const auto live = *TargetPattern::parse_with_path("example.com:81/live");
  EXPECT_TRUE(live.matches_host("example.com", 81));
  for (const char* path : {"/live", "/live/", "/live/a/b.ts", "/live/x%2Fy"}) {
    EXPECT_TRUE(live.matches_path(path)) << path;
  }
  for (const char* path :
       {"/", "/liver", "/Live/a", "/%6cive/a", "//live/a", "/a/live/b", "/live/../a",
        "/live/%2e%2e/a", "/live/..%2fa", "/live/..;x/a", "/live/..%5ca", "/live/%252e%252e/a"}) {
    EXPECT_FALSE(live.matches_path(path)) << path;
  }
  EXPECT_TRUE(TargetPattern::parse_with_path("example.com/live/")->matches_path("/live/a"));
  EXPECT_FALSE(TargetPattern::parse_with_path("example.com/live/")->matches_path("/live"));
  EXPECT_TRUE(TargetPattern::parse_with_path("example.com")->matches_path("/any"));
}

TEST(TargetPattern, EveryFormMayHaveAPath) {
  for (const char* text :
       {"example.com/live", "*.example.com:80/live/a", "10.0.0.0/8/live/", "10.0.0.1/live",
        "[::1]:81/live", "fd00::/8/live", "example.com/", "example.com", "10.0.0.0/8"}) {
    const auto target = TargetPattern::parse_with_path(text);
    ASSERT_TRUE(target) << text;
    EXPECT_EQ(target->to_string(), text);
    EXPECT_EQ(*TargetPattern::parse_with_path(target->to_string()), *target);
  }
  const auto block = *TargetPattern::parse_with_path("10.0.0.0/8/live");
  EXPECT_TRUE(block.matches_address(*IpAddress::parse("10.9.9.9"), 80));
  EXPECT_EQ(block.path, "/live");
  for (const char* bad :
       {"/live", "http://a.example/live", "a.example/live/*", "a.example/a?b", "a.example/a#b",
        "*:80/live", "a.example/a/../b", "a.example/%2e%2e/", "a.example/a b", "10.0.0.0/33",
        "192.168.1.0/255.255.255.0", "fd00::/129", "a.example/live:8080"}) {
    EXPECT_FALSE(TargetPattern::parse_with_path(bad)) << bad;
  }
  EXPECT_FALSE(TargetPattern::parse("example.com/live"));
}

}  // namespace
}  // namespace streamgate
