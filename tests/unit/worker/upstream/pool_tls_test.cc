// An UpstreamPool whose upstream speaks TLS.
#include <gtest/gtest.h>
#include <netinet/tcp.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/tls_peers.h"
#include "tests/unit/worker/upstream/pool_bench.h"

namespace streamgate {
namespace {

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
  TlsIdentity another_identity{"DNS:a.test"};
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

// Answers one request. The client gets its session before it closes.
void answer_and_wait(SSL* ssl, int /*number*/) {
  read_request(ssl);
  write_all(ssl, kEmpty);
  read_request(ssl);
}

TEST_F(UpstreamPoolTlsTest, ResumesTheSessionOfTheOrigin) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    serve(2, answer_and_wait, version);
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

// OpenSSL does not verify the certificate again when it resumes a session. The keys of tokens may
// have settings of their own for the same host.
TEST_F(UpstreamPoolTlsTest, AnUnverifiedSessionIsNotResumedWhereVerificationIsRequired) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    serve(3, answer_and_wait, version);
    config.tls.ca_file = another_identity.ca_file();
    make_pool();
    const HttpUrl url = url_of("a.test", true);
    HostTable unverified(config, {{.pattern = *TargetPattern::parse("a.test"), .verify = false}});
    for (const bool is_verified : {false, true, false}) {
      last_error.reset();
      UpstreamConnection* connection =
          get({url, (is_verified ? *hosts : unverified).of(url), {tls_server->address()}},
              Freshness::fresh_only);
      ASSERT_EQ(connection == nullptr, is_verified) << version;
      if (is_verified) {
        EXPECT_EQ(last_error->reason, Reason::tls_failed);
        continue;
      }
      Recorder recorder;
      ask(connection, recorder);
      pool->give_back(*connection, Reuse::no);
    }
    EXPECT_EQ(tls_server->resumed.load(), 1) << version;  // by the last connection
    pool.reset();
  }
}

TEST_F(UpstreamPoolTlsTest, AnEndWithoutCloseNotifyTruncatesLengthAndChunksOnly) {
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
    const bool is_complete = i == 0 || i == 2;
    EXPECT_EQ(recorder.ended, is_complete) << answers[i];
    EXPECT_EQ(recorder.reason() == Reason::truncated_body, !is_complete) << answers[i];
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
  WaitingForPool waiting;
  UpstreamPool::AttemptHandle attempt;
  EXPECT_EQ(acquire(url_of("b.test", true), {tls_server->address()}, Freshness::reuse_allowed,
                    waiting, attempt),
            nullptr);
  attempt.reset();
  EXPECT_EQ(acquire(url_of("a.test"), {tls_server->address()}, Freshness::reuse_allowed, waiting,
                    attempt),
            nullptr);  // nor a TLS connection for a plain URL
  attempt.reset();
  EXPECT_EQ(get_tls("a.test"), connection);
  pool->give_back(*connection, Reuse::no);
}

}  // namespace
}  // namespace streamgate
