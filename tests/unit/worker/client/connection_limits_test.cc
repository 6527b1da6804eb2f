#include "worker/client/connection_limits.h"

#include <gtest/gtest.h>

namespace streamgate {
namespace {

uint64_t key_of(const char* text) { return client_key(*IpAddress::parse(text)); }

TEST(ClientKey, IsTheIpv4AddressOrTheIpv6Prefix) {
  EXPECT_NE(key_of("192.0.2.1"), key_of("192.0.2.2"));
  EXPECT_NE(key_of("0.0.0.1"), key_of("::1"));
  EXPECT_EQ(key_of("2001:db8:0:1::1"), key_of("2001:db8:0:1:ffff:ffff:ffff:ffff"));
  EXPECT_NE(key_of("2001:db8:0:1::1"), key_of("2001:db8:0:2::1"));
}

// Two workers that have a column each.
class ConnectionLimitsTest : public testing::Test {
 protected:
  ConnectionLimitsTest() {
    board.take(1);
    board.take(1);
    config.trusted_proxies = {*IpRange::parse("10.0.0.0/8")};
    config.limits.connections = 5;
    config.limits.per_client.connections = 2;
  }

  static SocketAddress peer(const char* address) { return {*IpAddress::parse(address), 4711}; }

  Scoreboard board = *Scoreboard::create(3);
  Config config;
  ConnectionLimits first{config, board.view(), board.column(0)};
  ConnectionLimits second{config, board.view(), board.column(1)};
};

TEST_F(ConnectionLimitsTest, TheConnectionsOfAllWorkersCount) {
  board.column(0).slot.connections_now = 3;
  board.column(1).slot.connections_now = 2;
  EXPECT_FALSE(first.is_over());
  board.column(1).slot.connections_now = 4;
  EXPECT_EQ(2U, first.excess());
  EXPECT_EQ(2U, second.excess());
  board.retire(1);
  EXPECT_FALSE(first.is_over());
}

TEST_F(ConnectionLimitsTest, IdleConnectionsOfOthersLeaveOutTheWorkersOwn) {
  board.column(0).slot.idle_now = 1;
  EXPECT_FALSE(first.others_have_idle());
  EXPECT_TRUE(second.others_have_idle());
  board.column(0).slot.beat_ms.fetch_sub(10'000);  // the first one hangs
  EXPECT_FALSE(second.others_have_idle());
  board.column(0).slot.beat_ms.fetch_add(10'000);
  EXPECT_FALSE(second.others_want_room());
  board.column(0).slot.wants_room = 1;
  EXPECT_FALSE(first.others_want_room());
  EXPECT_TRUE(second.others_want_room());
}

TEST_F(ConnectionLimitsTest, AClientIsCountedOverAllWorkers) {
  const SocketAddress client = peer("192.0.2.1");
  const auto row = first.add(client);
  ASSERT_TRUE(row);
  EXPECT_TRUE(second.add(client));
  EXPECT_FALSE(first.is_over(client));
  EXPECT_TRUE(second.add(client));
  EXPECT_TRUE(first.is_over(client));
  EXPECT_TRUE(second.is_over(client));
  EXPECT_FALSE(first.is_over(peer("192.0.2.2")));
  first.remove(*row);
  EXPECT_FALSE(second.is_over(client));
}

TEST_F(ConnectionLimitsTest, ConnectionsOfADeadWorkerDoNotCount) {
  const SocketAddress client = peer("192.0.2.1");
  for (int i = 0; i < 3; ++i) second.add(client);
  EXPECT_TRUE(first.is_over(client));
  board.retire(1);
  EXPECT_FALSE(first.is_over(client));
}

TEST_F(ConnectionLimitsTest, TrustedProxiesAndUnixSocketsAreNotCounted) {
  EXPECT_FALSE(first.add(peer("10.1.2.3")));
  EXPECT_FALSE(first.add(*SocketAddress::parse("unix:/a")));
  config.limits.per_client.connections = 0;
  EXPECT_FALSE(first.add(peer("192.0.2.1")));
}

}  // namespace
}  // namespace streamgate
