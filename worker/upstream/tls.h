// Sets up TLS to upstreams: TLS 1.2 or later, certificates verified by default, SNI for names,
// sessions resumed. UpstreamSocket runs the connections.
//
// One context for each CA file and one TlsSessions per worker.
#pragma once

#include <list>
#include <map>
#include <string>
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

// Names the sessions that a connection to `url` may resume: those of the same authority whose
// certificate was verified in the same way. OpenSSL does not verify it again.
std::string session_name(const TlsConfig& config, const HttpUrl& url);

// The last session of each name, which makes the next handshake shorter. Holds 256 names; a further
// one replaces the least recently used.
class TlsSessions {
 public:
  // Resumes the session of that name, if there is one, in the handshake that follows.
  void offer(SSL& ssl, const std::string& name);
  // Ignores a session that is null or cannot be resumed.
  void keep(TlsSession session, const std::string& name);

 private:
  struct Kept {
    std::string name;
    TlsSession session;
  };
  std::list<Kept> by_use_;  // most recently used first
  std::unordered_map<std::string, std::list<Kept>::iterator> places_;
};

}  // namespace streamgate
