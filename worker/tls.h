// The client side of TLS to upstreams: TLS 1.2 or later, verified by default, SNI for names,
// session reuse per origin.
//
// Level 2. OpenSSL stands only here, in upstream_connection and in event.h.
#pragma once

#include <string>
#include <string_view>

#include "common/config.h"
#include "common/result.h"
#include "common/url.h"
#include "worker/event.h"

namespace streamgate {

// tls_failed with OpenSSL's words if the CA file cannot be read or holds no certificate.
Result<SslContext> make_tls_context(const TlsConfig& config);

// An SSL for `url` on `fd`, ready for SSL_do_handshake: SNI and name check for names, address check
// for literals; no verification if the configuration exempts that host.
Result<Ssl> make_tls(SSL_CTX& context, const TlsConfig& config, const HttpUrl& url, int fd);

// OpenSSL's error queue as text, emptied.
std::string take_tls_errors();

}  // namespace streamgate
