#include "worker/upstream/tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/check.h"
#include "worker/upstream/authorities.h"

namespace streamgate {
namespace {

constexpr size_t kMaxSessions = 256;
// Several records per recv(). By default OpenSSL calls recv() twice for each record.
constexpr size_t kReadAheadBytes = size_t{64} * 1024;
constexpr unsigned char kAlpn[] = "\x08http/1.1";

int protocol_of(TlsVersion version) {
  switch (version) {
    case TlsVersion::tls1_0:
      return TLS1_VERSION;
    case TlsVersion::tls1_1:
      return TLS1_1_VERSION;
    case TlsVersion::tls1_2:
      return TLS1_2_VERSION;
    case TlsVersion::tls1_3:
      return TLS1_3_VERSION;
  }
  return TLS1_2_VERSION;
}

// OpenSSL's own check, which applies the security level.
int check_level(const SSL* ssl, const SSL_CTX* context, int operation, int bits, int nid,
                void* other, void* data) {
  static const auto check = [] {
    const SslContext fresh(SSL_CTX_new(TLS_client_method()));
    CHECK(fresh != nullptr);
    return SSL_CTX_get_security_callback(fresh.get());
  }();
  return check(ssl, context, operation, bits, nid, other, data);
}

// Old servers prefer DHE with a group of 1024 bits, also if they know RSA. OpenSSL refuses it (`dh
// key too small`) above security level 1. Browsers offer no DHE; FFmpeg and VLC take such groups.
constexpr int kSecurityOf1024Bits = 80;

// OpenSSL 3 allows TLS 1.0 and 1.1, and their signatures (SHA-1, for RSA together with MD5), at
// security level 0 only. That level would also admit weak keys and weaker groups.
int allow_old_versions(const SSL* ssl, const SSL_CTX* context, int operation, int bits, int nid,
                       void* other, void* data) {
  const bool is_version = operation == SSL_SECOP_VERSION && nid >= TLS1_VERSION;
  const bool is_signature =
      operation == SSL_SECOP_SIGALG_SUPPORTED || operation == SSL_SECOP_SIGALG_CHECK;
  const bool is_old = ssl != nullptr && SSL_version(ssl) < TLS1_2_VERSION;
  if (is_version || (operation == SSL_SECOP_TMP_DH && bits >= kSecurityOf1024Bits)) return 1;
  if (is_signature && (nid == NID_md5_sha1 || (is_old && nid == NID_sha1))) return 1;
  return check_level(ssl, context, operation, bits, nid, other, data);
}

void set_versions(SSL_CTX& context, TlsVersion min_version) {
  SSL_CTX_set_min_proto_version(&context, protocol_of(min_version));
  if (min_version >= TlsVersion::tls1_2) return;
  SSL_CTX_set_security_callback(&context, allow_old_versions);
}

// OpenSSL's `*` matches no label with an underscore, unlike that of browsers; but the text `*` in
// the wanted name matches the `*` of a certificate.
bool accept_wildcard_for_underscores(SSL& ssl, const std::string& host) {
  const size_t dot = std::min(host.find('.'), host.size());
  const bool has_domain = host.find('.', dot + 1) != host.npos;  // `*.com` is nobody's
  if (host.find('_') == host.npos || !has_domain) return true;
  return SSL_add1_host(&ssl, ("*" + host.substr(dot)).c_str()) == 1;
}

}  // namespace

Result<SslContext> make_tls_context(const TlsConfig& config) {
  ERR_clear_error();
  SslContext context(SSL_CTX_new(TLS_client_method()));
  if (!context) return tls_error("no TLS context");
  set_versions(*context, config.min_version);
  // Browsers accept servers without RFC 5746, which OpenSSL 3 refuses by default. The attack that
  // RFC 5746 prevents needs a renegotiation.
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_LEGACY_SERVER_CONNECT);
  // Allows a partial write to continue from another address: the request head may have moved.
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context.get(), 1);
  SSL_CTX_set_default_read_buffer_len(context.get(), kReadAheadBytes);
  // TlsSessions keeps the sessions.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  if (SSL_CTX_set_alpn_protos(context.get(), kAlpn, sizeof kAlpn - 1) != 0) {
    return tls_error("ALPN");
  }
  if (auto loaded = load_authorities(*context, config.ca_file); !loaded) return loaded.error();
  ERR_clear_error();
  return context;
}

Result<TlsContexts> make_tls_contexts(const UpstreamConfig& config) {
  std::vector<std::string> files{config.tls.ca_file};
  for (const UpstreamHost& row : config.hosts) {
    if (row.ca_file) files.push_back(*row.ca_file);
  }
  TlsContexts contexts;
  for (const std::string& file : files) {
    if (contexts.contains(file)) continue;
    TlsConfig wanted = config.tls;
    wanted.ca_file = file;
    auto context = make_tls_context(wanted);
    if (!context) return std::move(context).error();
    contexts.emplace(file, *std::move(context));
  }
  return contexts;
}

Result<Ssl> make_tls(SSL_CTX& context, const TlsConfig& config, const HttpUrl& url, int fd) {
  ERR_clear_error();
  Ssl ssl(SSL_new(&context));
  if (!ssl || SSL_set_fd(ssl.get(), fd) != 1) return tls_error("no TLS connection");
  SSL_set_connect_state(ssl.get());
  const bool is_literal = url.host_is_ipv6 || IpAddress::parse(url.host);
  // No SNI for address literals (RFC 6066 3); they are checked against iPAddress names (RFC 9110
  // 4.3.4).
  if (is_literal) {
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), url.host.c_str()) != 1) {
      return tls_error("address " + url.host);
    }
  } else {
    SSL_set_hostflags(ssl.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (SSL_set_tlsext_host_name(ssl.get(), url.host.c_str()) != 1 ||
        SSL_set1_host(ssl.get(), url.host.c_str()) != 1 ||
        !accept_wildcard_for_underscores(*ssl, url.host)) {
      return tls_error("host name " + url.host);
    }
  }
  SSL_set_verify(ssl.get(), config.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  return ssl;
}

std::string session_name(const TlsConfig& config, const HttpUrl& url) {
  return url.authority() + (config.verify ? " verified by " + config.ca_file : " not verified");
}

void TlsSessions::offer(SSL& ssl, const std::string& name) {
  const auto place = places_.find(name);
  if (place == places_.end()) return;
  by_use_.splice(by_use_.begin(), by_use_, place->second);
  SSL_set_session(&ssl, place->second->session.get());
}

void TlsSessions::keep(TlsSession session, const std::string& name) {
  if (!session || SSL_SESSION_is_resumable(session.get()) != 1) return;
  if (const auto place = places_.find(name); place != places_.end()) {
    place->second->session = std::move(session);
    by_use_.splice(by_use_.begin(), by_use_, place->second);
    return;
  }
  if (places_.size() >= kMaxSessions) {
    places_.erase(by_use_.back().name);
    by_use_.pop_back();
  }
  by_use_.push_front({name, std::move(session)});
  places_.emplace(name, by_use_.begin());
}

}  // namespace streamgate
