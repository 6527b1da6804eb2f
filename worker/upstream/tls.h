// Sets up TLS to upstreams: TLS 1.2 or later, certificates verified by default, SNI for names,
// sessions resumed per origin. UpstreamSocket runs the connections.
//
// One context for each CA file and one TlsSessions per worker.
#pragma once

#include <list>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

#include "common/config.h"
#include "common/result.h"
#include "common/url.h"
#include "worker/loop/openssl.h"

namespace streamgate {

// tls_failed, with OpenSSL's errors, if the CA file cannot be read or holds no certificate.
Result<SslContext> make_tls_context(const TlsConfig& config);

// A context for each CA file that the configuration names, also for single hosts; by file.
using TlsContexts = std::map<std::string, SslContext, std::less<>>;
Result<TlsContexts> make_tls_contexts(const UpstreamConfig& config);

// An SSL for `url` on `fd`, ready for the handshake: SNI and name check for names, address check
// for literals; no verification with `verify: false`. tls_failed if OpenSSL refuses.
Result<Ssl> make_tls(SSL_CTX& context, const TlsConfig& config, const HttpUrl& url, int fd);

// The last session of each origin, which makes the next handshake with it shorter. Holds 256
// origins; a further one replaces the least recently used.
class TlsSessions {
 public:
  // Resumes the origin's session, if there is one, in the handshake that follows.
  void offer(SSL& ssl, const std::string& origin);
  // Ignores a session that is null or cannot be resumed.
  void keep(TlsSession session, const std::string& origin);

 private:
  struct Kept {
    std::string origin;
    TlsSession session;
  };
  std::list<Kept> by_use_;  // most recently used first
  std::unordered_map<std::string, std::list<Kept>::iterator> places_;
};

}  // namespace streamgate
