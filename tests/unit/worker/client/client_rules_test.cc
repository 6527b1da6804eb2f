#include "worker/client/client_rules.h"

#include <gtest/gtest.h>

namespace streamgate {
namespace {

IpRange range(const char* text) { return *IpRange::parse(text); }
SocketAddress client(const char* text) { return {*IpAddress::parse(text), 4711}; }

TEST(ClientRules, WithoutRulesAllClientsAreServed) {
  EXPECT_TRUE(is_served(client("192.0.2.1"), {}));
  EXPECT_TRUE(is_served(SocketAddress(), {}));
}

TEST(ClientRules, DenyWinsOverAllow) {
  const ClientRules rules{{range("192.0.2.0/24")}, {range("192.0.2.7")}};
  EXPECT_TRUE(is_served(client("192.0.2.1"), rules));
  EXPECT_FALSE(is_served(client("192.0.2.7"), rules));
  EXPECT_FALSE(is_served(client("::ffff:192.0.2.7"), rules));
  EXPECT_FALSE(is_served(client("203.0.113.1"), rules));
  EXPECT_FALSE(is_served(client("2001:db8::1"), rules));
}

TEST(ClientRules, ClientsOfAUnixSocketAreServed) {
  const ClientRules rules{{range("192.0.2.0/24")}, {range("0.0.0.0/0")}};
  EXPECT_TRUE(is_served(*SocketAddress::parse("unix:/run/streamgate.sock"), rules));
}

}  // namespace
}  // namespace streamgate
