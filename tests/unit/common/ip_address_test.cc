#include "common/ip_address.h"

#include <gtest/gtest.h>

#include <string>

namespace streamgate {
namespace {

IpAddress ip(const std::string& text) { return *IpAddress::parse(text); }
IpRange range(const std::string& text) { return *IpRange::parse(text); }

TEST(IpAddress, ParsesOnlyCanonicalForms) {
  for (const char* good : {"0.0.0.0", "255.255.255.255", "::", "::1", "fe80::1", "::ffff:1.2.3.4",
                           "2001:db8:0:0:0:0:0:1"}) {
    EXPECT_TRUE(IpAddress::parse(good)) << good;
  }
  for (const char* bad : {"", "1", "127.1", "0x7f.0.0.1", "010.0.0.1", "1.2.3.4.5", "256.0.0.1",
                          " 1.2.3.4", "1.2.3.4 ", "[::1]", "fe80::1%eth0", ":::", "1.2.3", "g::"}) {
    EXPECT_FALSE(IpAddress::parse(bad)) << bad;
  }
  EXPECT_FALSE(IpAddress::parse(std::string("1.2.3.4\0", 8)));
  EXPECT_FALSE(IpAddress::parse(std::string(1000, '1')));
}

TEST(IpAddress, PrintsTheShortestForm) {
  EXPECT_EQ("2001:db8::1", ip("2001:db8:0:0:0:0:0:1").to_string());
  EXPECT_EQ("1.2.3.4", ip("1.2.3.4").to_string());
}

TEST(IpRange, ContainsItsBlockAndNothingElse) {
  EXPECT_TRUE(range("10.0.0.0/8").contains(ip("10.255.255.255")));
  EXPECT_FALSE(range("10.0.0.0/8").contains(ip("11.0.0.0")));
  EXPECT_TRUE(range("172.16.0.0/12").contains(ip("172.31.255.255")));
  EXPECT_FALSE(range("172.16.0.0/12").contains(ip("172.32.0.0")));
  EXPECT_TRUE(range("0.0.0.0/0").contains(ip("8.8.8.8")));
  EXPECT_TRUE(range("fc00::/7").contains(ip("fdff::1")));
  EXPECT_FALSE(range("fc00::/7").contains(ip("fe00::1")));
  EXPECT_TRUE(range("127.0.0.1").contains(ip("127.0.0.1")));
  EXPECT_FALSE(range("127.0.0.1").contains(ip("127.0.0.2")));
}

TEST(IpRange, NeverMixesFamilies) {
  EXPECT_FALSE(range("0.0.0.0/0").contains(ip("::1")));
  EXPECT_FALSE(range("::/0").contains(ip("1.2.3.4")));
  EXPECT_FALSE(range("1.2.3.4").contains(ip("::ffff:1.2.3.4")));
}

TEST(IpRange, APortLimitsTheMatchToThatPort) {
  EXPECT_TRUE(range("127.0.0.1:80").contains(ip("127.0.0.1"), 80));
  EXPECT_FALSE(range("127.0.0.1:80").contains(ip("127.0.0.1"), 81));
  EXPECT_TRUE(range("127.0.0.1").contains(ip("127.0.0.1"), 81));
}

TEST(IpRange, EveryFormParsesBackFromItsText) {
  for (const char* text : {"10.0.0.0/8", "127.0.0.1", "127.0.0.1:8081", "10.0.0.0/8:80", "::1",
                           "fd00::/8", "[::1]:8081", "[fd00::/8]:80", "0.0.0.0/0"}) {
    EXPECT_EQ(text, range(text).to_string());
    EXPECT_EQ(range(text), range(range(text).to_string()));
  }
}

TEST(IpRange, RefusesTextThatIsNotARange) {
  for (const char* bad : {"", "localhost", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1",
                          "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:65536", "[::1", "[::1]80",
                          "[::1]:", "10.0.0.0/8/8", "/8", ":80"}) {
    EXPECT_FALSE(IpRange::parse(bad)) << bad;
  }
  for (const char* bad : {"127.0.0.1:0", "[::1]:99999"}) {
    EXPECT_EQ(IpRange::parse(bad).error().detail,
              "'" + std::string(bad) + "': the port is not 1 to 65535");
  }
}

}  // namespace
}  // namespace streamgate
