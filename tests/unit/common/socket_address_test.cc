#include "common/socket_address.h"

#include <gtest/gtest.h>

#include <string>

namespace streamgate {
namespace {

SocketAddress address(const std::string& text) { return *SocketAddress::parse(text); }

TEST(SocketAddress, EveryFormParsesBackFromItsText) {
  for (const char* text :
       {"0.0.0.0:8080", "[::]:8080", "127.0.0.1:0", "[::1]:65535", "unix:/run/x.sock"}) {
    EXPECT_EQ(text, address(text).to_string());
    const SocketAddress copy =
        SocketAddress::from_native(address(text).native(), address(text).length());
    EXPECT_EQ(address(text), copy);
    EXPECT_EQ(text, copy.to_string());
  }
}

TEST(SocketAddress, RefusesTextThatIsNotASocketAddress) {
  for (const char* bad : {"", "8080", ":8080", "localhost:8080", "1.2.3.4", "1.2.3.4:", "::1:80",
                          "[::1]", "[1.2.3.4]:80", "1.2.3.4:65536", "1.2.3.4:-1",
                          "unix:", "unix:relative", "unix/path", "0x7f.0.0.1:80"}) {
    EXPECT_FALSE(SocketAddress::parse(bad)) << bad;
  }
  EXPECT_TRUE(SocketAddress::parse("unix:/" + std::string(106, 'a')));
  EXPECT_FALSE(SocketAddress::parse("unix:/" + std::string(107, 'a')));
}

TEST(SocketAddress, AUnixPathHasNoPort) {
  EXPECT_EQ("/run/x", address("unix:/run/x").path());
  EXPECT_EQ(0, address("unix:/run/x").port());
  EXPECT_FALSE(address("unix:/run/x").is_ip());
  EXPECT_EQ("", address("1.2.3.4:80").path());
}

TEST(SocketAddress, DifferentAddressesAreNotEqual) {
  EXPECT_NE(address("1.2.3.4:80"), address("1.2.3.4:81"));
  EXPECT_NE(address("1.2.3.4:80"), address("1.2.3.5:80"));
  EXPECT_NE(address("0.0.0.0:80"), address("[::]:80"));
  EXPECT_NE(address("unix:/a"), address("unix:/b"));
}

TEST(SocketAddress, OverlapsWhereTheKernelRefusesToListenOnBoth) {
  const auto both = [](const char* a, const char* b) {
    EXPECT_EQ(overlap(address(a), address(b)), overlap(address(b), address(a)));
    return overlap(address(a), address(b));
  };
  EXPECT_TRUE(both("0.0.0.0:80", "127.0.0.1:80"));
  EXPECT_TRUE(both("[::]:80", "[::1]:80"));
  EXPECT_TRUE(both("127.0.0.1:80", "127.0.0.1:80"));
  EXPECT_TRUE(both("unix:/a", "unix:/a"));
  EXPECT_FALSE(both("127.0.0.1:80", "127.0.0.2:80"));
  EXPECT_FALSE(both("0.0.0.0:80", "127.0.0.1:81"));
  EXPECT_FALSE(both("0.0.0.0:80", "[::]:80"));
  EXPECT_FALSE(both("127.0.0.1:0", "127.0.0.1:0"));
  EXPECT_FALSE(both("unix:/a", "0.0.0.0:80"));
}

}  // namespace
}  // namespace streamgate
