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

}  // namespace
}  // namespace streamgate
