#include "worker/upstream/tls.h"

#include <gtest/gtest.h>
#include <openssl/err.h>

#include <fstream>
#include <string>
#include <utility>

#include "tests/unit/tls_peers.h"

namespace streamgate {
namespace {

using namespace testing_peers;  // NOLINT: used throughout

HttpUrl url_of(const std::string& host) {
  HttpUrl url;
  url.is_https = true;
  url.host = host;
  url.host_is_ipv6 = host.find(':') != std::string::npos;
  url.port = 443;
  return url;
}

class TlsTest : public testing::Test {
 protected:
  TlsTest() { config.ca_file = identity.ca_file(); }
  Ssl make(const std::string& host) {
    if (!context) context = std::move(*make_tls_context(config));
    auto ssl = make_tls(*context, config, url_of(host), 0);
    EXPECT_TRUE(ssl.has_value());
    return std::move(*ssl);
  }
  bool is_verified(const std::string& host) {
    return SSL_get_verify_mode(make(host).get()) == SSL_VERIFY_PEER;
  }

  TlsIdentity identity{"DNS:a.test"};
  TlsConfig config;
  SslContext context;
};

TEST_F(TlsTest, RefusesACaFileThatIsMissingOrHoldsNoCertificate) {
  const std::string path = ::testing::TempDir() + "streamgate_empty.pem";
  std::ofstream(path) << "nothing\n";
  for (const std::string& file : {std::string("/nonexistent.pem"), path}) {
    config.ca_file = file;
    const auto made = make_tls_context(config);
    ASSERT_FALSE(made.has_value());
    EXPECT_EQ(made.error().reason, Reason::tls_failed);
    EXPECT_NE(made.error().detail.find(file), std::string::npos);
  }
  EXPECT_EQ(ERR_peek_error(), 0U);  // the error queue is empty again
  std::filesystem::remove(path);
}

TEST_F(TlsTest, UsesTheSystemsAuthoritiesWithoutACaFile) {
  config.ca_file.clear();
  EXPECT_TRUE(make_tls_context(config).has_value());
}

TEST_F(TlsTest, ReportsAnEndWithoutCloseNotify) {
  make("a.test");
  EXPECT_EQ(SSL_CTX_get_options(context.get()) & SSL_OP_IGNORE_UNEXPECTED_EOF, 0U);
  EXPECT_NE(SSL_CTX_get_options(context.get()) & SSL_OP_NO_RENEGOTIATION, 0U);
}

TEST_F(TlsTest, TheLowestVersionIsThatOfTheSettings) {
  const std::pair<TlsVersion, int> versions[] = {{TlsVersion::tls1_0, TLS1_VERSION},
                                                 {TlsVersion::tls1_1, TLS1_1_VERSION},
                                                 {TlsVersion::tls1_2, TLS1_2_VERSION},
                                                 {TlsVersion::tls1_3, TLS1_3_VERSION}};
  for (const auto& [version, expected] : versions) {
    config.min_version = version;
    const auto made = make_tls_context(config);
    ASSERT_TRUE(made.has_value());
    EXPECT_EQ(SSL_CTX_get_min_proto_version(made->get()), expected);
  }
}

TEST_F(TlsTest, SendsSniForNamesOnly) {
  EXPECT_STREQ(SSL_get_servername(make("a.test").get(), TLSEXT_NAMETYPE_host_name), "a.test");
  EXPECT_EQ(SSL_get_servername(make("192.0.2.1").get(), TLSEXT_NAMETYPE_host_name), nullptr);
  EXPECT_EQ(SSL_get_servername(make("2001:db8::1").get(), TLSEXT_NAMETYPE_host_name), nullptr);
}

TEST_F(TlsTest, VerifiesUnlessTheSettingsSayOtherwise) {
  EXPECT_TRUE(is_verified("a.test"));
  config.verify = false;
  EXPECT_FALSE(is_verified("a.test"));
}

TEST_F(TlsTest, MakesOneContextForEachCaFile) {
  UpstreamConfig upstream;
  upstream.hosts = {{.pattern = *TargetPattern::parse("a.test"), .verify = false},
                    {.pattern = *TargetPattern::parse("b.test"), .ca_file = ""}};
  auto contexts = make_tls_contexts(upstream);
  ASSERT_TRUE(contexts.has_value());
  EXPECT_EQ(contexts->size(), 1U);
  upstream.hosts[1].ca_file = "/no/such/file";
  contexts = make_tls_contexts(upstream);
  ASSERT_FALSE(contexts.has_value());
  EXPECT_NE(contexts.error().detail.find("/no/such/file"), std::string::npos);
}

TEST_F(TlsTest, TakesTheErrorQueueAsText) {
  EXPECT_EQ(take_tls_errors(), "");
  ERR_raise(ERR_LIB_SSL, SSL_R_WRONG_VERSION_NUMBER);
  ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
  const std::string text = take_tls_errors();
  EXPECT_NE(text.find("wrong version number"), std::string::npos);
  EXPECT_NE(text.find("; "), std::string::npos);
  EXPECT_EQ(take_tls_errors(), "");
}

TEST_F(TlsTest, IgnoresAMissingSession) {
  TlsSessions sessions;
  const Ssl ssl = make("a.test");
  sessions.keep(TlsSession(SSL_get1_session(ssl.get())), "a.test");  // no handshake yet: no session
  const Ssl next = make("a.test");
  sessions.offer(*next, "a.test");
  EXPECT_EQ(SSL_get_session(next.get()), nullptr);
}

}  // namespace
}  // namespace streamgate
