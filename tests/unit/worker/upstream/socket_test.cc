#include "worker/upstream/socket.h"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/unit/tls_peers.h"

namespace streamgate {
namespace {

using testing_peers::TlsIdentity;
using ReadEnd = UpstreamSocket::ReadEnd;
using Handshake = UpstreamSocket::Handshake;

// Both ends of one connection in one thread; the upstream's end is plain or TLS.
class UpstreamSocketTest : public testing::Test {
 protected:
  UpstreamSocketTest() {
    ::signal(SIGPIPE, SIG_IGN);
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    socket = UpstreamSocket(UniqueFd(fds[0]));
    upstream.reset(fds[1]);
  }

  void send(std::string_view bytes) {
    ASSERT_EQ(::send(upstream.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // Reads at most `most` bytes; `text` has them.
  UpstreamSocket::ReadOutcome read(size_t most) {
    const auto outcome = socket.read(space, most);
    text.assign(space.data(), outcome.bytes);
    return outcome;
  }
  void expect_read(size_t most, std::string_view expected, ReadEnd end) {
    const auto outcome = read(most);
    EXPECT_EQ(text, expected);
    EXPECT_EQ(outcome.end, end);
  }

  UpstreamSocket socket;
  UniqueFd upstream;
  std::vector<char> space = std::vector<char>(64 * 1024);
  std::string text;
};

class UpstreamPlainSocketTest : public UpstreamSocketTest {};

TEST_F(UpstreamPlainSocketTest, ReadsUntilTheSocketIsDrained) {
  expect_read(5, "", ReadEnd::drained);
  send("hello world");
  expect_read(5, "hello", ReadEnd::full);
  expect_read(100, " world", ReadEnd::drained);
}

TEST_F(UpstreamPlainSocketTest, ReportsTheEndAfterTheLastBytes) {
  send("last");
  upstream.reset();
  expect_read(100, "last", ReadEnd::drained);
  expect_read(100, "", ReadEnd::closed);
}

TEST_F(UpstreamPlainSocketTest, ReportsAResetAsFailed) {
  const std::string unread = "unread";
  EXPECT_EQ(socket.write(unread).bytes, unread.size());
  upstream.reset();  // a Unix socket that is closed with unread bytes resets its peer
  expect_read(100, "", ReadEnd::failed);
}

TEST_F(UpstreamPlainSocketTest, HasUnreadBytesOnlyIfTheLastReadDidNotDrainIt) {
  send("hello");
  expect_read(4, "hell", ReadEnd::full);
  EXPECT_TRUE(socket.has_unread());
  EXPECT_FALSE(socket.has_buffered());  // the kernel holds them and reports them
  expect_read(4, "o", ReadEnd::drained);
  EXPECT_FALSE(socket.has_unread());
  send("1234");
  expect_read(4, "1234", ReadEnd::full);
  EXPECT_FALSE(socket.has_unread());
  upstream.reset();
  EXPECT_TRUE(socket.has_unread());  // the end counts
}

TEST_F(UpstreamPlainSocketTest, SplicesIntoAPipe) {
  const auto pipe = Pipe::make(64 * 1024);
  ASSERT_TRUE(pipe);
  ASSERT_TRUE(socket.can_splice());
  EXPECT_EQ(socket.splice_into(*pipe, 100).end, ReadEnd::drained);
  send("hello");
  const auto outcome = socket.splice_into(*pipe, 4);
  EXPECT_EQ(outcome.bytes, 4U);
  EXPECT_EQ(outcome.end, ReadEnd::full);
  std::array<char, 4> bytes;
  EXPECT_EQ(::read(pipe->read_end(), bytes.data(), bytes.size()), 4);
  EXPECT_EQ(std::string_view(bytes.data(), 4), "hell");
  pipe->taken(4);
  EXPECT_TRUE(socket.has_unread());
  upstream.reset();
  EXPECT_EQ(socket.splice_into(*pipe, 100).bytes, 1U);
  pipe->taken(1);
  EXPECT_EQ(socket.splice_into(*pipe, 100).end, ReadEnd::closed);
}

TEST_F(UpstreamPlainSocketTest, PrepareReadReturnsTheRoom) {
  for (const size_t room : {0, 1, 100'000, 1'000'000}) EXPECT_EQ(socket.prepare_read(room), room);
}

TEST_F(UpstreamPlainSocketTest, WritesUntilTheSocketIsFullAndThenUntilThePeerIsGone) {
  const std::string much(16 * 1024 * 1024, 'x');
  const auto first = socket.write(much);
  EXPECT_GT(first.bytes, 0U);
  EXPECT_LT(first.bytes, much.size());
  const auto full = socket.write(much);
  EXPECT_EQ(full.bytes, 0U);
  EXPECT_FALSE(full.is_broken);
  upstream.reset();
  EXPECT_TRUE(socket.write(much).is_broken);
}

TEST_F(UpstreamPlainSocketTest, IsQuietUntilBytesOrAnEndCome) {
  EXPECT_TRUE(socket.is_quiet());
  send("x");
  EXPECT_FALSE(socket.is_quiet());
  expect_read(100, "x", ReadEnd::drained);
  EXPECT_TRUE(socket.is_quiet());
  upstream.reset();
  EXPECT_FALSE(socket.is_quiet());
}

TEST_F(UpstreamPlainSocketTest, HasNoSession) {
  EXPECT_FALSE(socket.is_tls());
  EXPECT_FALSE(socket.session());
}

TEST_F(UpstreamPlainSocketTest, IsClosedWhenItIsReplaced) {
  socket = UpstreamSocket();
  EXPECT_FALSE(socket.is_open());
  char byte;
  EXPECT_EQ(::recv(upstream.get(), &byte, 1, 0), 0);
}

class UpstreamTlsSocketTest : public UpstreamSocketTest {
 protected:
  UpstreamTlsSocketTest()
      : client_context(SSL_CTX_new(TLS_client_method())),
        server_context(SSL_CTX_new(TLS_server_method())) {
    identity.use(server_context.get());
    EXPECT_EQ(SSL_CTX_load_verify_file(client_context.get(), identity.ca_file().c_str()), 1);
  }

  void start_tls() {
    server.reset(SSL_new(server_context.get()));
    SSL_set_fd(server.get(), upstream.get());
    SSL_set_accept_state(server.get());
    Ssl ssl(SSL_new(client_context.get()));
    SSL_set_fd(ssl.get(), socket.fd());
    SSL_set_connect_state(ssl.get());
    SSL_set_verify(ssl.get(), SSL_VERIFY_PEER, nullptr);
    socket.start_tls(std::move(ssl));
  }
  Handshake shake_hands() {
    Handshake state = Handshake::wants_read;
    for (int i = 0; i < 100 && state == Handshake::wants_read; ++i) {
      state = socket.shake_hands();
      SSL_do_handshake(server.get());
    }
    return state;
  }
  void connect() {
    start_tls();
    ASSERT_EQ(shake_hands(), Handshake::done);
  }
  // As one record, if it fits in one.
  void send_tls(std::string_view bytes) {
    ASSERT_EQ(SSL_write(server.get(), bytes.data(), static_cast<int>(bytes.size())),
              static_cast<int>(bytes.size()));
  }

  TlsIdentity identity{"DNS:a.test"};
  SslContext client_context;
  SslContext server_context;
  Ssl server;
};

TEST_F(UpstreamTlsSocketTest, HandshakeWaitsForTheServer) {
  start_tls();
  EXPECT_EQ(socket.shake_hands(), Handshake::wants_read);
  EXPECT_EQ(shake_hands(), Handshake::done);
  EXPECT_TRUE(socket.is_tls());
  EXPECT_FALSE(socket.can_splice());
}

TEST_F(UpstreamTlsSocketTest, HandshakeErrorNamesTheFaultOfTheCertificate) {
  client_context.reset(SSL_CTX_new(TLS_client_method()));  // trusts nothing
  start_tls();
  EXPECT_EQ(shake_hands(), Handshake::failed);
  EXPECT_EQ(socket.take_handshake_error().detail, "certificate: self-signed certificate");
  EXPECT_EQ(ERR_peek_error(), 0U);
}

TEST_F(UpstreamTlsSocketTest, HandshakeErrorIsOpenSslsIfThePeerDoesNotSpeakTls) {
  start_tls();
  send("HTTP/1.1 400 Bad Request\r\n\r\n");
  EXPECT_EQ(socket.shake_hands(), Handshake::failed);
  EXPECT_NE(socket.take_handshake_error().detail.find("wrong version number"), std::string::npos);
}

TEST_F(UpstreamTlsSocketTest, HandshakeErrorIsNotEmptyIfTheConnectionEnds) {
  start_tls();
  EXPECT_EQ(socket.shake_hands(), Handshake::wants_read);
  upstream.reset();
  EXPECT_EQ(socket.shake_hands(), Handshake::failed);
  EXPECT_FALSE(socket.take_handshake_error().detail.empty());
}

TEST_F(UpstreamTlsSocketTest, ReadsToTheEndOfARecordIfThereIsSpace) {
  connect();
  send_tls(std::string(1000, 'a'));
  const auto outcome = read(10);
  EXPECT_EQ(text, std::string(1000, 'a'));
  EXPECT_EQ(outcome.end, ReadEnd::full);
  EXPECT_FALSE(socket.has_buffered());
  expect_read(10, "", ReadEnd::drained);
}

TEST_F(UpstreamTlsSocketTest, ReportsBytesThatOpenSslBuffers) {
  connect();
  send_tls(std::string(1000, 'a'));
  space.resize(400);
  EXPECT_EQ(read(10).bytes, 400U);
  EXPECT_TRUE(socket.has_buffered());
  EXPECT_TRUE(socket.has_unread());
  EXPECT_EQ(read(400).bytes, 400U);
  EXPECT_EQ(read(400).bytes, 200U);
  EXPECT_FALSE(socket.has_buffered());
}

TEST_F(UpstreamTlsSocketTest, ReadsAheadOnlyIfThereIsMuchRoom) {
  connect();
  read(1);  // the tickets
  for (const bool much : {true, false}) {
    send_tls("one");
    send_tls("two");
    EXPECT_GT(socket.prepare_read(much ? 1'000'000 : 100'000), 0U);
    space.resize(3);
    expect_read(3, "one", ReadEnd::full);
    EXPECT_EQ(socket.has_buffered(), much);  // "two" has left the kernel
    expect_read(3, "two", ReadEnd::full);
  }
}

TEST_F(UpstreamTlsSocketTest, PrepareReadReservesRoomForOneRecord) {
  connect();
  EXPECT_EQ(socket.prepare_read(0), 0U);
  EXPECT_EQ(socket.prepare_read(1), kMaxRecordBytes);
  EXPECT_EQ(socket.prepare_read(100'000), 100'000 - kMaxRecordBytes);
}

TEST_F(UpstreamTlsSocketTest, ReportsACloseNotifyAsClosed) {
  connect();
  send_tls("last");
  SSL_shutdown(server.get());
  expect_read(100, "last", ReadEnd::closed);
  expect_read(100, "", ReadEnd::closed);
}

TEST_F(UpstreamTlsSocketTest, ReportsAnEndWithoutCloseNotifyAsTruncated) {
  connect();
  send_tls("last");
  upstream.reset();
  expect_read(100, "last", ReadEnd::truncated);
}

TEST_F(UpstreamTlsSocketTest, ReportsBytesThatAreNotTlsAsFailed) {
  connect();
  send("this is no TLS record");
  expect_read(100, "", ReadEnd::failed);
}

TEST_F(UpstreamTlsSocketTest, DistinguishesTicketsFromData) {
  connect();
  EXPECT_TRUE(socket.is_quiet());  // TLS 1.3 sends tickets after the handshake
  EXPECT_TRUE(socket.session());
  send_tls("data");
  EXPECT_FALSE(socket.is_quiet());
}

TEST_F(UpstreamTlsSocketTest, DistinguishesTicketsFromAnEnd) {
  connect();
  SSL_shutdown(server.get());
  EXPECT_FALSE(socket.is_quiet());
}

TEST_F(UpstreamTlsSocketTest, WrittenBytesReachTheServer) {
  connect();
  EXPECT_EQ(socket.write("hello").bytes, 5U);
  std::array<char, 10> bytes;
  ASSERT_EQ(SSL_read(server.get(), bytes.data(), bytes.size()), 5);
  EXPECT_EQ(std::string_view(bytes.data(), 5), "hello");
}

TEST_F(UpstreamTlsSocketTest, WritesUntilTheSocketIsFullAndThenUntilThePeerIsGone) {
  connect();
  const std::string much(16 * 1024 * 1024, 'x');
  UpstreamSocket::Written written;
  do {
    written = socket.write(much);
  } while (written.bytes > 0);
  EXPECT_FALSE(written.is_broken);
  upstream.reset();
  EXPECT_TRUE(socket.write(much).is_broken);
}

TEST_F(UpstreamTlsSocketTest, OnlyAPoliteCloseSendsCloseNotify) {
  for (const bool polite : {true, false}) {
    connect();
    read(1);  // the tickets: a socket that is closed with unread bytes resets its peer
    socket.close(polite ? TlsGoodbye::polite : TlsGoodbye::abrupt);
    EXPECT_FALSE(socket.is_open());
    char byte;
    EXPECT_LE(SSL_read(server.get(), &byte, 1), 0);
    EXPECT_EQ(SSL_get_shutdown(server.get()), polite ? SSL_RECEIVED_SHUTDOWN : 0);
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    socket = UpstreamSocket(UniqueFd(fds[0]));
    upstream.reset(fds[1]);
  }
}

}  // namespace
}  // namespace streamgate
