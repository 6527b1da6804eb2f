#include "worker/upstream/pool.h"

#include <gtest/gtest.h>
#include <netinet/tcp.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/tls_peers.h"
#include "tests/unit/upstream_peers.h"

namespace streamgate {
namespace {

using namespace testing_peers;  // NOLINT: used throughout

constexpr char kEmpty[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

HttpUrl url_of(const std::string& host, bool is_https = false) {
  HttpUrl url;
  url.host = host;
  url.is_https = is_https;
  url.path_and_query = "/";
  return url;
}

struct Waiting final : UpstreamPool::Observer {
  void on_connected(UpstreamConnection& made) override { connection = &made; }
  void on_connect_failed(Error why) override { error = std::move(why); }
  bool is_over() const { return connection != nullptr || error.has_value(); }
  UpstreamConnection* connection = nullptr;
  std::optional<Error> error;
};

class UpstreamPoolTest : public testing::Test {
 protected:
  using Freshness = UpstreamPool::Freshness;
  using Reuse = UpstreamPool::Reuse;

  void make_pool() {
    pool = std::make_unique<UpstreamPool>(base.get(), wheel, reaper, config, counters);
    const auto started = pool->start();
    ASSERT_TRUE(started.has_value()) << started.error().detail;
  }
  bool until(const std::function<bool()>& done) { return run_until(base.get(), done); }

  UpstreamConnection* get(const HttpUrl& url, const std::vector<SocketAddress>& addresses,
                          Freshness freshness = Freshness::reuse_allowed) {
    Waiting waiting;
    UpstreamPool::AttemptHandle attempt;
    if (auto* idle = pool->acquire(url, addresses, freshness, waiting, attempt)) return idle;
    EXPECT_TRUE(until([&] { return waiting.is_over(); }));
    if (waiting.error) last_error = waiting.error;
    return waiting.connection;
  }
  // One whole exchange with an empty answer, given back.
  void exchange(UpstreamConnection& connection, Peer& peer, Reuse reuse = Reuse::allowed) {
    Recorder recorder;
    connection.send_request(kRequest, Method::get, recorder);
    peer.send(kEmpty);
    ASSERT_TRUE(until([&] { return recorder.ended; }));
    pool->give_back(connection, reuse);
  }
  UpstreamConnection* get_from(StubServer& from, const std::string& host = "a.test") {
    const size_t before = from.peers.size();
    UpstreamConnection* connection = get(url_of(host), {from.address()});
    if (connection != nullptr && !connection->reused()) {
      EXPECT_TRUE(until([&] { return from.peers.size() > before; }));
    }
    return connection;
  }

  // Leaves one idle connection to the server.
  void exchange_first() {
    UpstreamConnection* connection = get_from(server);
    ASSERT_NE(connection, nullptr);
    exchange(*connection, server.peer(0));
  }

  EventBase base{event_base_new()};
  TimerWheel wheel{base.get()};
  Reaper reaper{base.get()};
  UpstreamConfig config;
  Counters counters;
  std::unique_ptr<UpstreamPool> pool;
  StubServer server{base.get()};
  std::optional<Error> last_error;
};

TEST_F(UpstreamPoolTest, ReusesAConnectionThatWasGivenBack) {
  make_pool();
  UpstreamConnection* first = get_from(server);
  ASSERT_NE(first, nullptr);
  EXPECT_FALSE(first->reused());
  exchange(*first, server.peer(0));
  UpstreamConnection* second = get_from(server);
  EXPECT_EQ(second, first);
  EXPECT_TRUE(second->reused());
  exchange(*second, server.peer(0));
  EXPECT_EQ(server.peers.size(), 1U);
  EXPECT_EQ(counters[Counter::upstream_connections_opened].load(), 1U);
  EXPECT_EQ(counters[Counter::upstream_connections_reused].load(), 1U);
}

TEST_F(UpstreamPoolTest, ClosesAConnectionThatCannotBeReused) {
  make_pool();
  UpstreamConnection* connection = get_from(server);
  exchange(*connection, server.peer(0), Reuse::no);
  EXPECT_TRUE(until([&] { return server.peer(0).has_ended; }));
  connection = get_from(server);
  Recorder recorder;  // its answer is never complete
  connection->send_request(kRequest, Method::get, recorder);
  pool->give_back(*connection, Reuse::allowed);
  EXPECT_TRUE(until([&] { return server.peer(1).has_ended; }));
}

TEST_F(UpstreamPoolTest, FreshOnlyGetsANewConnection) {
  make_pool();
  UpstreamConnection* connection = get_from(server);
  exchange(*connection, server.peer(0));
  UpstreamConnection* fresh = get(url_of("a.test"), {server.address()}, Freshness::fresh_only);
  EXPECT_NE(fresh, connection);
  pool->give_back(*fresh, Reuse::no);
}

TEST_F(UpstreamPoolTest, DropsAnIdleConnectionThatTheUpstreamCloses) {
  make_pool();
  exchange_first();
  server.peer(0).close();
  settle(base.get());
  UpstreamConnection* next = get_from(server);
  EXPECT_FALSE(next->reused());
  EXPECT_EQ(server.peers.size(), 2U);
  pool->give_back(*next, Reuse::no);
}

// The event loop does not run between the upstream's bytes and the loan.
TEST_F(UpstreamPoolTest, BytesThatCameSinceTheLastTurnOfTheLoopPreventALoan) {
  make_pool();
  exchange_first();
  server.peer(0).send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
  UpstreamConnection* next = get_from(server);
  ASSERT_NE(next, nullptr);
  EXPECT_FALSE(next->reused());
  exchange(*next, server.peer(1));
  EXPECT_TRUE(until([&] { return server.peer(0).has_ended; }));
  EXPECT_EQ(counters[Counter::upstream_connections_reused].load(), 0U);
}

TEST_F(UpstreamPoolTest, AnEndSinceTheLastTurnOfTheLoopPreventsALoan) {
  make_pool();
  exchange_first();
  server.peer(0).close();
  UpstreamConnection* next = get_from(server);
  ASSERT_NE(next, nullptr);
  EXPECT_FALSE(next->reused());
  pool->give_back(*next, Reuse::no);
}

TEST_F(UpstreamPoolTest, LendsTheNextIdleConnectionInPlaceOfAnUnfitOne) {
  make_pool();
  UpstreamConnection* fit = get_from(server);
  UpstreamConnection* unfit = get_from(server);
  exchange(*fit, server.peer(0));
  exchange(*unfit, server.peer(1));
  server.peer(1).send("x");
  ASSERT_EQ(get_from(server), fit);
  pool->give_back(*fit, Reuse::no);
  EXPECT_TRUE(until([&] { return server.peer(1).has_ended; }));
}

TEST_F(UpstreamPoolTest, ConnectsOnlyToTheGivenAddresses) {
  make_pool();
  StubServer other(base.get());
  exchange_first();
  UpstreamConnection* connection = get_from(other);  // the same name, another address
  EXPECT_FALSE(connection->reused());
  EXPECT_EQ(other.peers.size(), 1U);
  exchange(*connection, other.peer(0));
  // An idle connection to any of the addresses serves.
  connection = get(url_of("a.test"), {refusing_address(base.get()), other.address()});
  EXPECT_TRUE(connection->reused());
  pool->give_back(*connection, Reuse::no);
}

TEST_F(UpstreamPoolTest, KeepsNoMoreThanTheLimitPerOrigin) {
  config.keepalive_per_origin = 2;
  make_pool();
  std::vector<UpstreamConnection*> loans;
  for (int i = 0; i < 4; ++i) loans.push_back(get_from(server));
  for (size_t i = 0; i < loans.size(); ++i) exchange(*loans[i], server.peer(i));
  EXPECT_TRUE(until([&] { return server.peer(0).has_ended && server.peer(1).has_ended; }));
  EXPECT_FALSE(server.peer(2).has_ended ||
               server.peer(3).has_ended);  // the longest idle are closed
}

TEST_F(UpstreamPoolTest, KeepsNoMoreThanTheLimitOfAllOrigins) {
  config.keepalive_per_worker = 2;
  make_pool();
  StubServer other(base.get());
  UpstreamConnection* oldest = get_from(server);
  UpstreamConnection* next = get_from(other);
  UpstreamConnection* newest = get_from(other);
  exchange(*oldest, server.peer(0));
  exchange(*next, other.peer(0));
  EXPECT_FALSE(server.peer(0).has_ended);
  exchange(*newest, other.peer(1));
  EXPECT_TRUE(until([&] { return server.peer(0).has_ended; }));
  EXPECT_FALSE(other.peer(0).has_ended || other.peer(1).has_ended);
}

TEST_F(UpstreamPoolTest, ClosesAConnectionAfterKeepaliveIdle) {
  config.keepalive_idle = Milliseconds{300};
  make_pool();
  exchange_first();
  const int64_t start = wheel.now_ms();
  EXPECT_TRUE(until([&] { return server.peer(0).has_ended; }));
  EXPECT_GE(wheel.now_ms() - start, 300);
}

TEST_F(UpstreamPoolTest, KeepsNoConnectionWhileDraining) {
  make_pool();
  UpstreamConnection* idle = get_from(server);
  UpstreamConnection* on_loan = get_from(server);
  exchange(*idle, server.peer(0));
  pool->stop_keeping();
  EXPECT_TRUE(until([&] { return server.peer(0).has_ended; }));
  exchange(*on_loan, server.peer(1));
  EXPECT_TRUE(until([&] { return server.peer(1).has_ended; }));
}

TEST_F(UpstreamPoolTest, AStaleConnectionCanBeReplacedByAFreshOne) {
  make_pool();
  exchange_first();
  UpstreamConnection* stale = get_from(server);
  ASSERT_TRUE(stale->reused());
  server.peer(0).close();
  Recorder recorder;
  stale->send_request(kRequest, Method::get, recorder);
  ASSERT_TRUE(until([&] { return recorder.is_over(); }));
  ASSERT_EQ(recorder.retry, UpstreamConnection::Observer::Retry::on_fresh_connection);
  pool->give_back(*stale, Reuse::allowed);
  UpstreamConnection* fresh = get(url_of("a.test"), {server.address()}, Freshness::fresh_only);
  ASSERT_TRUE(until([&] { return server.peers.size() == 2; }));
  exchange(*fresh, server.peer(1));
}

TEST_F(UpstreamPoolTest, ACancelledAttemptMakesNoCall) {
  make_pool();
  Waiting waiting;
  {
    UpstreamPool::AttemptHandle attempt;
    EXPECT_EQ(pool->acquire(url_of("a.test"), {server.address()}, Freshness::reuse_allowed, waiting,
                            attempt),
              nullptr);
  }
  settle(base.get());
  EXPECT_FALSE(waiting.is_over());
}

TEST_F(UpstreamPoolTest, AnAttemptMayBeDestroyedInsideItsCallback) {
  make_pool();
  struct Dropping final : UpstreamPool::Observer {
    void on_connected(UpstreamConnection& made) override {
      connection = &made;
      attempt.reset();
    }
    void on_connect_failed(Error) override {
      failed = true;
      attempt.reset();
    }
    UpstreamPool::AttemptHandle attempt;
    UpstreamConnection* connection = nullptr;
    bool failed = false;
  } good, bad;
  pool->acquire(url_of("a.test"), {server.address()}, Freshness::reuse_allowed, good, good.attempt);
  pool->acquire(url_of("a.test"), {refusing_address(base.get())}, Freshness::reuse_allowed, bad,
                bad.attempt);
  ASSERT_TRUE(until([&] { return good.connection != nullptr && bad.failed; }));
  pool->give_back(*good.connection, Reuse::no);
  settle(base.get());
}

TEST_F(UpstreamPoolTest, ReportsARefusedConnection) {
  make_pool();
  EXPECT_EQ(get(url_of("a.test"), {refusing_address(base.get())}), nullptr);
  ASSERT_TRUE(last_error.has_value());
  EXPECT_EQ(last_error->reason, Reason::connect_failed);
}

TEST_F(UpstreamPoolTest, DestroyingThePoolClosesItsConnections) {
  make_pool();
  exchange_first();
  get_from(server);  // on loan
  pool.reset();
  EXPECT_TRUE(until([&] { return server.peer(0).has_ended; }));
}

TEST_F(UpstreamPoolTest, StartFailsWithoutTheCaFile) {
  config.tls.ca_file = "/nonexistent.pem";
  UpstreamPool broken(base.get(), wheel, reaper, config, counters);
  const auto started = broken.start();
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(started.error().reason, Reason::tls_failed);
}

class UpstreamPoolTlsTest : public UpstreamPoolTest {
 protected:
  ~UpstreamPoolTlsTest() override {
    pool.reset();
  }  // before tls_server, which waits for the end of its connections
  void serve(int count, TlsServer::Serve behaviour, int highest_version = 0) {
    tls_server =
        std::make_unique<TlsServer>(identity, count, std::move(behaviour), highest_version);
    config.tls.ca_file = identity.ca_file();
    make_pool();
  }
  UpstreamConnection* get_tls(const std::string& host = "a.test",
                              Freshness freshness = Freshness::reuse_allowed) {
    return get(url_of(host, true), {tls_server->address()}, freshness);
  }
  void ask(UpstreamConnection* connection, Recorder& recorder) {
    ASSERT_NE(connection, nullptr) << (last_error ? last_error->detail : "");
    connection->send_request(kRequest, Method::get, recorder);
    ASSERT_TRUE(until([&] { return recorder.is_over(); }));
  }

  TlsIdentity identity{"DNS:a.test,IP:127.0.0.1"};
  std::unique_ptr<TlsServer> tls_server;
};

TEST_F(UpstreamPoolTlsTest, RelaysALargeBodyAndReusesTheConnection) {
  const std::string body(3 * 1024 * 1024 + 17, 'x');
  serve(1, [&](SSL* ssl, int) {
    while (read_request(ssl)) {
      write_all(ssl, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) +
                         "\r\n\r\n" + body);
    }
  });
  for (int i = 0; i < 2; ++i) {
    UpstreamConnection* connection = get_tls();
    Recorder recorder;
    ask(connection, recorder);
    EXPECT_TRUE(recorder.ended);
    EXPECT_EQ(recorder.body, body);
    EXPECT_EQ(connection->reused(), i == 1);
    pool->give_back(*connection, Reuse::allowed);
    settle(base.get());
  }
}

TEST_F(UpstreamPoolTlsTest, PausesAndResumesWithBytesInsideOpenSsl) {
  const std::string body(1024 * 1024, 'x');
  serve(1, [&](SSL* ssl, int) {
    read_request(ssl);
    write_all(ssl, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) +
                       "\r\n\r\n" + body);
    read_request(ssl);
  });
  UpstreamConnection* connection = get_tls();
  ASSERT_NE(connection, nullptr);
  Recorder recorder;
  recorder.when_body = [&] { connection->pause(); };
  connection->send_request(kRequest, Method::get, recorder);
  while (!recorder.is_over()) {
    const size_t before = recorder.body.size();
    ASSERT_TRUE(until([&] { return recorder.is_over() || recorder.body.size() > before; }));
    settle(base.get());
    connection->resume();
  }
  EXPECT_TRUE(recorder.ended);
  EXPECT_EQ(recorder.body.size(), body.size());
  pool->give_back(*connection, Reuse::no);
}

// OpenSSL reads ahead: bytes after the response may have left the socket and not be decrypted yet.
TEST_F(UpstreamPoolTlsTest, BytesThatOpenSslReadAheadMakeTheConnectionUnfit) {
  const size_t one_read = size_t{64} * 1024;
  std::string response = "HTTP/1.1 200 OK\r\nContent-Length: 65000\r\n";
  response += "X: " + std::string(one_read - 65'000 - response.size() - 7, 'x') + "\r\n\r\n";
  response += std::string(65'000, 'x');
  ASSERT_EQ(response.size(), one_read);
  std::atomic<bool> is_written{false};
  serve(2, [&](SSL* ssl, int fd) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!read_request(ssl)) return;
    // In small records, so that the last ones are read ahead together with the next response.
    for (size_t at = 0; at < one_read; at += 1024) write_all(ssl, response.substr(at, 1024));
    write_all(ssl, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    is_written = true;
    read_request(ssl);
  });
  UpstreamConnection* connection = get_tls();
  ASSERT_NE(connection, nullptr);
  Recorder recorder;
  connection->send_request(kRequest, Method::get, recorder);
  while (!is_written) std::this_thread::yield();
  ASSERT_TRUE(until([&] { return recorder.is_over(); }));
  EXPECT_TRUE(recorder.ended);
  EXPECT_EQ(recorder.body.size(), 65'000U);
  pool->give_back(*connection, Reuse::allowed);
  settle(base.get());
  connection = get_tls();
  ASSERT_NE(connection, nullptr);
  EXPECT_FALSE(connection->reused());
}

// As for plain connections, the event loop does not run between the last bytes and the loan.
TEST_F(UpstreamPoolTlsTest, ATicketDoesNotPreventALoanButDataDoes) {
  for (const bool is_ticket : {true, false}) {
    std::atomic<bool> is_idle{false};
    std::atomic<bool> is_written{false};
    serve(2, [&](SSL* ssl, int) {
      read_request(ssl);
      write_all(ssl, kEmpty);
      while (!is_idle) std::this_thread::yield();
      if (is_ticket) {
        SSL_new_session_ticket(ssl);
        SSL_do_handshake(ssl);
      } else {
        write_all(ssl, kEmpty);
      }
      is_written = true;
      read_request(ssl);
    });
    UpstreamConnection* connection = get_tls();
    ASSERT_NE(connection, nullptr);
    Recorder recorder;
    ask(connection, recorder);
    pool->give_back(*connection, Reuse::allowed);
    is_idle = true;
    while (!is_written) std::this_thread::yield();
    connection = get_tls();
    ASSERT_NE(connection, nullptr);
    EXPECT_EQ(connection->reused(), is_ticket);
    pool->give_back(*connection, Reuse::no);
    pool.reset();
    tls_server.reset();
  }
}

TEST_F(UpstreamPoolTlsTest, ResumesTheSessionOfTheOrigin) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    serve(
        2,
        [](SSL* ssl, int) {
          read_request(ssl);
          write_all(ssl, kEmpty);
          read_request(ssl);
        },
        version);
    for (int i = 0; i < 2; ++i) {
      UpstreamConnection* connection = get_tls("a.test", Freshness::fresh_only);
      Recorder recorder;
      ask(connection, recorder);
      pool->give_back(*connection, Reuse::no);
    }
    EXPECT_EQ(tls_server->resumed.load(), 1) << version;
    pool.reset();
  }
}

TEST_F(UpstreamPoolTlsTest, AnEndWithoutCloseNotifyIsCompleteOnlyByLength) {
  const std::string answers[] = {
      "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
      "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbody", "HTTP/1.1 200 OK\r\n\r\nbody",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n"};
  int served = 0;
  serve(4, [&](SSL* ssl, int fd) {
    read_request(ssl);
    write_all(ssl, answers[served++]);
    ::shutdown(fd, SHUT_RDWR);  // no close_notify
  });
  for (int i = 0; i < 4; ++i) {
    UpstreamConnection* connection = get_tls("a.test", Freshness::fresh_only);
    Recorder recorder;
    ask(connection, recorder);
    EXPECT_EQ(recorder.ended, i == 0) << answers[i];
    EXPECT_EQ(recorder.reason() == Reason::truncated_body, i != 0) << answers[i];
    EXPECT_EQ(recorder.body, "body");
    pool->give_back(*connection, Reuse::allowed);
  }
}

TEST_F(UpstreamPoolTlsTest, ACloseNotifyEndsABodyUntilClose) {
  serve(1, [](SSL* ssl, int) {
    read_request(ssl);
    write_all(ssl, "HTTP/1.1 200 OK\r\n\r\nbody");
    SSL_shutdown(ssl);
  });
  UpstreamConnection* connection = get_tls();
  Recorder recorder;
  ask(connection, recorder);
  EXPECT_TRUE(recorder.ended);
  EXPECT_EQ(recorder.body, "body");
  pool->give_back(*connection, Reuse::allowed);
}

TEST_F(UpstreamPoolTlsTest, DoesNotReuseAConnectionForAnotherName) {
  serve(1, [](SSL* ssl, int) {
    read_request(ssl);
    write_all(ssl, kEmpty);
    read_request(ssl);
  });
  UpstreamConnection* connection = get_tls("a.test");
  Recorder recorder;
  ask(connection, recorder);
  pool->give_back(*connection, Reuse::allowed);
  Waiting waiting;
  UpstreamPool::AttemptHandle attempt;
  EXPECT_EQ(pool->acquire(url_of("b.test", true), {tls_server->address()}, Freshness::reuse_allowed,
                          waiting, attempt),
            nullptr);
  attempt.reset();
  EXPECT_EQ(pool->acquire(url_of("a.test"), {tls_server->address()}, Freshness::reuse_allowed,
                          waiting, attempt),
            nullptr);  // nor a TLS connection for a plain URL
  attempt.reset();
  EXPECT_EQ(get_tls("a.test"), connection);
  pool->give_back(*connection, Reuse::no);
}

}  // namespace
}  // namespace streamgate
