#include "worker/upstream/dialer.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <string>
#include <vector>

#include "tests/unit/dial_recorder.h"
#include "tests/unit/tls_peers.h"
#include "tests/unit/upstream_peers.h"

namespace streamgate {
namespace {

using namespace testing_peers;  // NOLINT: used throughout

class DialerTest : public testing::Test {
 protected:
  DialerTest() {
    url.host = "a.test";
    url.path_and_query = "/";
  }
  void dial(std::vector<SocketAddress> addresses) {
    Dialer dialer(tools, url, std::move(addresses), waiting);
    dialer.start();
    EXPECT_EQ(waiting.calls, 0);  // never from inside start()
    EXPECT_TRUE(run_until(base.get(), [&] { return waiting.calls > 0; }));
    settle(base.get());
    EXPECT_EQ(waiting.calls, 1);
  }
  void use_tls() {
    url.is_https = true;
    auto made = make_tls_context(config.tls);
    ASSERT_TRUE(made.has_value());
    context = std::move(*made);
    tools.tls = context.get();
  }
  void expect_failure(Reason reason) {
    ASSERT_TRUE(waiting.error.has_value());
    EXPECT_EQ(token_of(waiting.error->reason), token_of(reason)) << waiting.error->detail;
    EXPECT_FALSE(waiting.socket.is_open());
  }

  EventBase base{event_base_new()};
  TimerWheel wheel{base.get()};
  UpstreamConfig config;
  TlsSessions sessions;
  SslContext context;
  Dialer::Tools tools{base.get(), wheel, config, nullptr, sessions};
  HttpUrl url;
  DialRecorder waiting;
  StubServer server{base.get()};
};

TEST_F(DialerTest, ConnectsToTheFirstAddressThatAnswers) {
  dial({server.address()});
  EXPECT_TRUE(waiting.socket.is_open());
  EXPECT_EQ(waiting.address, server.address());
}

TEST_F(DialerTest, AfterARefusalTheNextAddressIsTriedAtOnce) {
  const int64_t start = wheel.now_ms();
  dial({refusing_address(base.get()), refusing_address(base.get()), server.address()});
  EXPECT_TRUE(waiting.socket.is_open());
  EXPECT_LT(wheel.now_ms() - start, 200);
}

TEST_F(DialerTest, TheNextAddressIsTriedAfter250MsWithoutAnAnswer) {
  const Blackhole blackhole;
  const int64_t start = wheel.now_ms();
  dial({blackhole.address(), server.address()});
  EXPECT_EQ(waiting.address, server.address());
  EXPECT_GE(wheel.now_ms() - start, 240);
  EXPECT_LT(wheel.now_ms() - start, 1000);
}

TEST_F(DialerTest, AnAddressWithoutARouteIsSkipped) {
  // IPV6_V6ONLY leaves a v4-mapped address without a route.
  dial({SocketAddress(*IpAddress::parse("::ffff:127.0.0.1"), 1), server.address()});
  EXPECT_EQ(waiting.address, server.address());
}

TEST_F(DialerTest, ConnectTimeoutLimitsAllAddressesTogether) {
  config.connect_timeout = Milliseconds{600};
  const Blackhole one;
  const Blackhole two;
  const int64_t start = wheel.now_ms();
  dial({one.address(), two.address()});
  expect_failure(Reason::connect_timeout);
  EXPECT_GE(wheel.now_ms() - start, 600);
  EXPECT_LT(wheel.now_ms() - start, 1500);
}

TEST_F(DialerTest, FailsWhenEveryAddressRefuses) {
  dial({refusing_address(base.get()), refusing_address(base.get())});
  expect_failure(Reason::connect_failed);
}

TEST_F(DialerTest, FailsWithoutAnAddress) {
  dial({});
  expect_failure(Reason::connect_failed);
}

TEST_F(DialerTest, ALackOfDescriptorsIsOverloaded) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlimit none{static_cast<rlim_t>(::dup(0)), limit.rlim_max};
  ::close(static_cast<int>(none.rlim_cur));
  Dialer dialer(tools, url, {server.address()}, waiting);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  dialer.start();
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ASSERT_TRUE(run_until(base.get(), [&] { return waiting.calls > 0; }));
  expect_failure(Reason::overloaded);
}

TEST_F(DialerTest, CancellingClosesEverythingAndCallsNoObserver) {
  const Blackhole blackhole;
  Dialer dialer(tools, url, {blackhole.address(), server.address()}, waiting);
  dialer.start();
  dialer.cancel();
  const int64_t start = wheel.now_ms();
  run_until(base.get(), [&] { return wheel.now_ms() - start > 400; });
  EXPECT_EQ(waiting.calls, 0);
  EXPECT_TRUE(server.peers.empty());
}

TEST_F(DialerTest, ShakesHandsWithATrustedServer) {
  const TlsIdentity identity("DNS:a.test");
  config.tls.ca_file = identity.ca_file();
  use_tls();
  TlsServer tls(identity, 1, [](SSL*, int) {});
  dial({tls.address()});
  ASSERT_TRUE(waiting.socket.is_tls()) << (waiting.error ? waiting.error->detail : "");
  const TlsSession session = waiting.socket.session();
  ASSERT_TRUE(session);
  EXPECT_EQ(SSL_SESSION_get_protocol_version(session.get()), TLS1_3_VERSION);
}

TEST_F(DialerTest, RefusesACertificateOfAnUnknownAuthority) {
  const TlsIdentity identity("DNS:a.test");
  const TlsIdentity other("DNS:a.test");
  config.tls.ca_file = other.ca_file();
  use_tls();
  TlsServer tls(identity, 1, [](SSL*, int) {});
  dial({tls.address()});
  expect_failure(Reason::tls_failed);
  EXPECT_NE(waiting.error->detail.find("certificate"), std::string::npos);
}

TEST_F(DialerTest, RefusesACertificateForAnotherName) {
  const TlsIdentity identity("DNS:b.test,DNS:*.a.test");
  config.tls.ca_file = identity.ca_file();
  use_tls();
  TlsServer tls(identity, 1, [](SSL*, int) {});
  dial({tls.address()});
  expect_failure(Reason::tls_failed);
}

TEST_F(DialerTest, ChecksAnAddressLiteralAgainstTheCertificatesAddresses) {
  for (const char* names : {"IP:127.0.0.1", "DNS:127.0.0.1"}) {
    const TlsIdentity identity(names);
    config.tls.ca_file = identity.ca_file();
    use_tls();
    url.host = "127.0.0.1";
    TlsServer tls(identity, 1, [](SSL*, int) {});
    waiting = {};
    dial({tls.address()});
    EXPECT_EQ(waiting.socket.is_tls(), std::string(names).starts_with("IP"));
    EXPECT_FALSE(tls.saw_name);  // no SNI for a literal
  }
}

TEST_F(DialerTest, WithoutVerificationAnyCertificateIsAccepted) {
  const TlsIdentity identity("DNS:other");
  config.tls.verify = false;
  use_tls();
  TlsServer tls(identity, 1, [](SSL*, int) {});
  dial({tls.address()});
  EXPECT_TRUE(waiting.socket.is_tls()) << (waiting.error ? waiting.error->detail : "");
}

TEST_F(DialerTest, RefusesVersionsOfTlsBelowTheLowest) {
  const TlsIdentity identity("DNS:a.test");
  config.tls.ca_file = identity.ca_file();
  config.tls.min_version = TlsVersion::tls1_2;
  use_tls();
  TlsServer tls(
      identity, 1, [](SSL*, int) {}, TLS1_1_VERSION);
  dial({tls.address()});
  expect_failure(Reason::tls_failed);
}

TEST_F(DialerTest, AServerThatNeverAnswersTheHandshakeRunsIntoTheConnectTimeout) {
  config.connect_timeout = Milliseconds{400};
  use_tls();
  dial({server.address()});
  expect_failure(Reason::connect_timeout);
}

TEST_F(DialerTest, APlainServerAtAnHttpsUrlIsATlsFailure) {
  use_tls();
  Dialer dialer(tools, url, {server.address()}, waiting);
  dialer.start();
  ASSERT_TRUE(run_until(base.get(), [&] { return server.peers.size() == 1; }));
  server.peer(0).send("HTTP/1.1 400 Bad Request\r\n\r\n");
  ASSERT_TRUE(run_until(base.get(), [&] { return waiting.calls > 0; }));
  expect_failure(Reason::tls_failed);
}

}  // namespace
}  // namespace streamgate
