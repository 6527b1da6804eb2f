// The client side of TLS to upstreams: TLS 1.2 or later, verified by default, SNI for names,
// session reuse per origin.
//
// OpenSSL stands only here, in dialer, upstream_connection and event.h. OpenSSL writes to
// its sockets without MSG_NOSIGNAL: the process ignores SIGPIPE.
#pragma once

#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "common/config.h"
#include "common/result.h"
#include "common/url.h"
#include "worker/loop/openssl.h"

namespace streamgate {

// tls_failed with OpenSSL's words if the CA file cannot be read or holds no certificate.
Result<SslContext> make_tls_context(const TlsConfig& config);

// An SSL for `url` on `fd`, ready for SSL_do_handshake: SNI and name check for names, address check
// for literals; no verification if the configuration exempts that host.
Result<Ssl> make_tls(SSL_CTX& context, const TlsConfig& config, const HttpUrl& url, int fd);

// Why the handshake of `ssl` failed: the certificate's fault in words, else the error queue,
// emptied.
std::string take_handshake_error(const SSL* ssl);

// The last session of each origin, so that the next handshake with it is short. Holds 256 origins;
// the least recently used makes room.
class TlsSessions {
 public:
  // Before the handshake.
  void offer(SSL& ssl, const std::string& origin);
  // After a response: TLS 1.3 tickets come behind the handshake.
  void keep(SSL& ssl, const std::string& origin);

 private:
  struct Kept {
    std::string origin;
    TlsSession session;
  };
  std::list<Kept> by_use_;  // most recently used first
  std::unordered_map<std::string, std::list<Kept>::iterator> places_;
};

}  // namespace streamgate
