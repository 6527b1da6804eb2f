#include "worker/client/client_address.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace streamgate {
namespace {

const std::vector<IpRange> kTrusted{*IpRange::parse("10.0.0.0/8"), *IpRange::parse("fd00::/8")};
const SocketAddress kProxy(*IpAddress::parse("10.0.0.1"), 99);

std::string forwarded(std::string_view value, const SocketAddress& peer = kProxy) {
  const HeaderFields fields{{"Forwarded", value}};
  return text_of_client(client_address(fields, ClientAddress::forwarded, peer, kTrusted));
}

TEST(ClientAddressTest, AnUntrustedPeerIsTheClient) {
  const SocketAddress stranger(*IpAddress::parse("192.0.2.9"), 7);
  EXPECT_EQ("192.0.2.9:7", forwarded("for=192.0.2.1", stranger));
}

TEST(ClientAddressTest, APeerOfAUnixSocketIsTrusted) {
  EXPECT_EQ("192.0.2.1", forwarded("for=192.0.2.1", *SocketAddress::parse("unix:/a")));
  EXPECT_EQ("unix:/a", forwarded("for=unknown", *SocketAddress::parse("unix:/a")));
}

// The left part is the client's own text, and may be anything.
TEST(ClientAddressTest, ClientTextCannotHideTheElementOfTheProxy) {
  const std::string marks = "\"\\,;= a";
  for (const std::string own : {"for=192.0.2.1", "for=\"[2001:db8::7]:5\";proto=https",
                                "proto=http;for=\"192.0.2.1:80\""}) {
    const std::string expected = forwarded(own);
    ASSERT_NE("10.0.0.1:99", expected);
    for (const char one : marks) {
      for (const char two : marks) {
        for (const char three : marks) {
          const std::string text{one, two, three};
          EXPECT_EQ(expected, forwarded(text + ", " + own)) << text;
          EXPECT_EQ(expected, forwarded("for=\"" + text + "," + own + ", for=10.0.0.2")) << text;
        }
      }
    }
  }
}

TEST(ClientAddressTest, TheNumberOfElementsIsBounded) {
  std::string value = "for=192.0.2.1";
  for (int i = 0; i < 63; ++i) value += ", for=10.0.0.2";
  EXPECT_EQ("192.0.2.1", forwarded(value));
  EXPECT_EQ("10.0.0.2", forwarded(value + ", for=10.0.0.2"));
}

TEST(ClientAddressTest, AMappedAddressIsTheIpv4Address) {
  EXPECT_EQ("192.0.2.1", forwarded("for=\"[::ffff:192.0.2.1]\""));
  EXPECT_EQ("192.0.2.1", forwarded("for=192.0.2.1, for=\"[::ffff:10.0.0.2]\""));
}

}  // namespace
}  // namespace streamgate
