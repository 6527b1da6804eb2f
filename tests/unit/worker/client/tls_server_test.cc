#include "worker/client/tls_server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "common/unique_fd.h"
#include "tests/unit/tls_peers.h"
#include "worker/client/socket.h"

namespace streamgate {
namespace {

using testing_peers::TlsIdentity;
using Handshake = ClientSocket::Handshake;

ListenTls files_of(const TlsIdentity& identity) {
  std::ifstream file(identity.ca_file());
  return {.certificate = "/c.pem",
          .key = "/k.pem",
          .certificate_pem = {std::istreambuf_iterator<char>(file), {}},
          .key_pem = identity.key_pem()};
}

std::string reason_of(const ListenTls& tls) {
  const auto context = make_server_context(tls, {});
  return context ? "" : context.error().detail;
}

iovec part(const std::string& text) { return {const_cast<char*>(text.data()), text.size()}; }

// Both ends of one connection in one thread.
class TlsServerTest : public testing::Test {
 protected:
  TlsServerTest() { ::signal(SIGPIPE, SIG_IGN); }

  void connect(const TlsIdentity& identity, const TicketKey& key = {}) {
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    ours.reset(fds[0]);
    theirs.reset(fds[1]);
    const int small = 4 * 1024;
    ::setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    auto made = make_server_context(files_of(identity), key);
    ASSERT_TRUE(made) << made.error().detail;
    server_context = *std::move(made);
    socket = std::make_unique<ClientSocket>(fds[0], make_server_tls(*server_context, fds[0]));
    if (!client_context) client_context.reset(SSL_CTX_new(TLS_client_method()));
    client.reset(SSL_new(client_context.get()));
    SSL_set_fd(client.get(), fds[1]);
    SSL_set_connect_state(client.get());
  }

  void shake_hands() {
    Handshake state = Handshake::wants_read;
    for (int i = 0; i < 1000 && state != Handshake::done; ++i) {
      SSL_do_handshake(client.get());
      state = socket->shake_hands();
      if (state == Handshake::wants_write) ++wants_write;
      ASSERT_NE(state, Handshake::failed);
    }
    ASSERT_EQ(SSL_do_handshake(client.get()), 1);
  }

  // All bytes that can be read now.
  std::string receive() {
    std::string out;
    std::array<char, 20'000> bytes;
    for (int size = 0; (size = SSL_read(client.get(), bytes.data(), bytes.size())) > 0;) {
      out.append(bytes.data(), static_cast<size_t>(size));
    }
    return out;
  }

  UniqueFd ours;
  UniqueFd theirs;
  SslContext server_context;
  SslContext client_context;
  std::unique_ptr<ClientSocket> socket;
  Ssl client;
  int wants_write = 0;
};

TEST_F(TlsServerTest, BytesGoBothWays) {
  const TlsIdentity identity("DNS:a.test");
  connect(identity);
  shake_hands();
  ASSERT_EQ(SSL_write(client.get(), "hello", 5), 5);
  std::array<char, 100> bytes;
  EXPECT_EQ(socket->read(bytes).bytes, 5U);
  const auto nothing = socket->read(bytes);
  EXPECT_EQ(nothing.bytes, 0U);
  EXPECT_FALSE(nothing.gone);
  const std::string head = "head";
  const std::string body = "body";
  const std::array<iovec, 3> parts{part(head), part(""), part(body)};
  EXPECT_EQ(socket->write(parts).bytes, 8U);
  std::string got(100, '\0');
  got.resize(static_cast<size_t>(SSL_read(client.get(), got.data(), 100)));
  EXPECT_EQ(got, "headbody");  // in one record
}

TEST_F(TlsServerTest, SuitesOfTls12AreEcdheWithAead) {
  const auto context = make_server_context(files_of(TlsIdentity("DNS:a.test")), {});
  ASSERT_TRUE(context);
  const STACK_OF(SSL_CIPHER)* suites = SSL_CTX_get_ciphers(context->get());
  int count = 0;
  for (int i = 0; i < sk_SSL_CIPHER_num(suites); ++i) {
    const SSL_CIPHER* suite = sk_SSL_CIPHER_value(suites, i);
    if (std::string_view(SSL_CIPHER_get_version(suite)) == "TLSv1.3") continue;
    ++count;
    EXPECT_EQ(SSL_CIPHER_get_kx_nid(suite), NID_kx_ecdhe) << SSL_CIPHER_get_name(suite);
    EXPECT_EQ(SSL_CIPHER_is_aead(suite), 1) << SSL_CIPHER_get_name(suite);
  }
  EXPECT_EQ(count, 6);  // AES-128, AES-256 and ChaCha20, each for RSA and ECDSA
}

TEST_F(TlsServerTest, AHandshakeWaitsForASocketThatIsFull) {
  std::string names = "DNS:a.test";
  for (int i = 0; i < 1000; ++i) names += ",DNS:" + std::to_string(i) + ".name.test";
  const TlsIdentity identity(names);
  connect(identity);
  shake_hands();
  EXPECT_GT(wants_write, 0);
}

TEST_F(TlsServerTest, BytesThatAreNotTakenMayBeOfferedInOtherParts) {
  const TlsIdentity identity("DNS:a.test");
  connect(identity);
  shake_hands();
  std::string body(300'000, '\0');
  for (size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * 7 + i / 251);
  std::string got;
  size_t taken = 0;
  bool blocked = false;
  for (size_t turn = 0; taken < body.size(); ++turn) {
    // Cut differently each time, as an evbuffer would.
    const size_t first = std::min<size_t>(1 + (turn * 5'003) % 40'000, body.size() - taken);
    const std::array<iovec, 2> parts{
        iovec{body.data() + taken, first},
        iovec{body.data() + taken + first, body.size() - taken - first}};
    const ClientSocket::Moved moved = socket->write(parts);
    ASSERT_FALSE(moved.gone) << take_tls_errors();
    blocked = blocked || moved.bytes == 0;
    taken += moved.bytes;
    got += receive();
  }
  got += receive();
  EXPECT_TRUE(blocked);
  EXPECT_EQ(got, body);
}

TEST_F(TlsServerTest, AnEndInOrderSendsCloseNotify) {
  const TlsIdentity identity("DNS:a.test");
  connect(identity);
  shake_hands();
  EXPECT_TRUE(socket->shut_writing());
  EXPECT_EQ(receive(), "");
  EXPECT_EQ(SSL_get_shutdown(client.get()), SSL_RECEIVED_SHUTDOWN);
}

TEST_F(TlsServerTest, AnAbruptEndSendsNoCloseNotify) {
  const TlsIdentity identity("DNS:a.test");
  connect(identity);
  shake_hands();
  socket.reset();
  ours.reset();
  EXPECT_EQ(receive(), "");
  EXPECT_EQ(SSL_get_shutdown(client.get()), 0);
}

TEST_F(TlsServerTest, PlainHttpIsDetected) {
  const TlsIdentity identity("DNS:a.test");
  connect(identity);
  ASSERT_EQ(::send(theirs.get(), "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
  EXPECT_EQ(socket->shake_hands(), Handshake::plain_http);
  EXPECT_FALSE(socket->is_tls());
  const std::string answer = "answer";
  const iovec whole = part(answer);
  EXPECT_EQ(socket->write({&whole, 1}).bytes, 6U);
  connect(identity);
  ASSERT_EQ(::send(theirs.get(), "\xff\xfe\xfd\xfc\xfb\xfa noise", 12, 0), 12);
  EXPECT_EQ(socket->shake_hands(), Handshake::failed);
}

TEST_F(TlsServerTest, ATicketResumesInEveryContextWithItsKey) {
  const TlsIdentity identity("DNS:a.test");
  const TicketKey key{1, 2, 3};
  const TicketKey other{4, 5, 6};
  TlsSession session;
  for (const auto& [with, reused] :
       std::vector<std::pair<TicketKey, bool>>{{key, false}, {key, true}, {other, false}}) {
    connect(identity, with);
    if (session) SSL_set_session(client.get(), session.get());
    shake_hands();
    EXPECT_EQ(SSL_session_reused(client.get()) == 1, reused);
    receive();  // the ticket
    session.reset(SSL_get1_session(client.get()));
    SSL_shutdown(client.get());
  }
}

TEST_F(TlsServerTest, AnUnusableCertificateOrKeyIsReportedWithItsFile) {
  const TlsIdentity identity("DNS:a.test");
  const TlsIdentity other("DNS:b.test");
  EXPECT_EQ(reason_of(files_of(identity)), "");
  ListenTls tls = files_of(identity);
  tls.key_pem = files_of(other).key_pem;
  EXPECT_TRUE(reason_of(tls).starts_with("/k.pem: is not the key of /c.pem")) << reason_of(tls);
  tls.key_pem = "nothing";
  EXPECT_TRUE(reason_of(tls).starts_with("/k.pem: is not a PEM private key")) << reason_of(tls);
  tls = files_of(identity);
  tls.certificate_pem = "";
  EXPECT_EQ(reason_of(tls), "/c.pem: holds no certificate");
  tls = files_of(identity);
  tls.certificate_pem += "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  EXPECT_TRUE(reason_of(tls).starts_with("/c.pem: its chain is damaged")) << reason_of(tls);
  tls = files_of(identity);
  tls.certificate_pem += files_of(other).certificate_pem;
  EXPECT_EQ(reason_of(tls), "");
}

}  // namespace
}  // namespace streamgate
