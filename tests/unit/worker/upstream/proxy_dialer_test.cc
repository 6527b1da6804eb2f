#include "worker/upstream/proxy_dialer.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/unit/dial_recorder.h"
#include "tests/unit/upstream_peers.h"

namespace streamgate {
namespace {

using namespace testing_peers;  // NOLINT: used throughout

class ProxyDialerTest : public testing::Test {
 protected:
  void dial(const std::vector<SocketAddress>& addresses) {
    settings.config.proxy =
        *ProxyAddress::parse("http://127.0.0.1:" + std::to_string(server.address().port()));
    dialer.emplace(tools, resolver, settings, url, addresses, waiting);
    dialer->start();
    EXPECT_EQ(waiting.calls, 0);  // never from inside start()
  }
  // Waits for the `index`-th connection to the proxy and its request.
  Peer& request(size_t index) {
    EXPECT_TRUE(until([&] {
      return server.peers.size() > index && server.peer(index).requests() == 1;
    })) << index;
    return server.peer(index);
  }
  bool until(const std::function<bool()>& done) { return run_until(base.get(), done); }
  bool is_over() {
    return until([&] { return waiting.calls > 0; });
  }

  EventBase base{event_base_new()};
  TimerWheel wheel{base.get()};
  HostSettings settings;
  TlsSessions sessions;
  Dialer::Tools tools{base.get(), wheel, settings.config, nullptr, sessions};
  Resolver resolver{base.get(), wheel, settings.config};
  HttpUrl url = parse_http_url("http://tv.example:8080/").value();
  const SocketAddress first{*IpAddress::parse("192.0.2.1"), 8080};
  const SocketAddress second{*IpAddress::parse("2001:db8::2"), 8080};
  DialRecorder waiting;
  StubServer server{base.get()};
  std::optional<ProxyDialer> dialer;
};

TEST_F(ProxyDialerTest, AnAddressThatTheProxyCannotReachIsFollowedByTheNext) {
  dial({first, second});
  EXPECT_TRUE(request(0).received.starts_with("CONNECT 192.0.2.1:8080 "));
  server.peer(0).send("HTTP/1.1 503 No\r\n\r\n");
  EXPECT_TRUE(request(1).received.starts_with("CONNECT [2001:db8::2]:8080 "));
  EXPECT_TRUE(until([&] { return server.peer(0).has_ended; }));
  server.peer(1).send("HTTP/1.1 200 OK\r\n\r\n");
  ASSERT_TRUE(is_over());
  EXPECT_TRUE(waiting.socket.is_open());
  EXPECT_EQ(waiting.address, second);
}

TEST_F(ProxyDialerTest, TheLastRefusalIsReported) {
  dial({first, second});
  request(0).send("HTTP/1.1 503 No\r\n\r\n");
  request(1).send("HTTP/1.1 403 No\r\n\r\n");
  ASSERT_TRUE(is_over());
  EXPECT_EQ(waiting.error->reason, Reason::proxy_failed);
  EXPECT_TRUE(waiting.error->detail.ends_with("CONNECT: 403 Forbidden")) << waiting.error->detail;
  EXPECT_EQ(server.peers.size(), 2U);
}

TEST_F(ProxyDialerTest, ARefusalThatIsNotAboutTheAddressIsFinal) {
  dial({first, second});
  request(0).send("HTTP/1.1 407 No\r\n\r\n");
  ASSERT_TRUE(is_over());
  EXPECT_EQ(waiting.error->reason, Reason::proxy_failed);
  EXPECT_EQ(server.peers.size(), 1U);
}

TEST_F(ProxyDialerTest, WithoutAddressesTheProxyGetsTheName) {
  url.is_https = true;  // http would go in absolute form
  settings.config.resolve = ResolveNames::remote;
  dial({});
  EXPECT_TRUE(request(0).received.starts_with("CONNECT tv.example:8080 "));
}

TEST_F(ProxyDialerTest, ARequestInAbsoluteFormNeedsNoHandshake) {
  settings.config.resolve = ResolveNames::remote;
  dial({});
  ASSERT_TRUE(is_over());
  EXPECT_TRUE(waiting.socket.is_open());
  EXPECT_FALSE(waiting.address.is_ip());
}

TEST_F(ProxyDialerTest, ConnectTimeoutLimitsAllAddressesTogether) {
  settings.config.connect_timeout = Milliseconds{500};
  const int64_t start = wheel.now_ms();
  dial({first, second});
  request(0).send("HTTP/1.1 503 No\r\n\r\n");
  ASSERT_TRUE(is_over());
  EXPECT_EQ(waiting.error->reason, Reason::connect_timeout);
  EXPECT_TRUE(waiting.error->detail.ends_with("its answer")) << waiting.error->detail;
  EXPECT_GE(wheel.now_ms() - start, 500);
  EXPECT_LT(wheel.now_ms() - start, 1500);
}

TEST_F(ProxyDialerTest, CancellingClosesTheConnection) {
  dial({first});
  request(0);
  dialer->cancel();
  EXPECT_TRUE(until([&] { return server.peer(0).has_ended; }));
  EXPECT_EQ(waiting.calls, 0);
}

}  // namespace
}  // namespace streamgate
