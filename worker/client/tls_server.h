// Sets up TLS for the clients of listeners with a certificate: TLS 1.2 (ECDHE with AEAD only) or
// later, no renegotiation, no compression, ALPN http/1.1, and session tickets that every worker of
// a generation accepts. ClientSocket runs the connections.
//
// One context per listener and worker.
#pragma once

#include <cstdint>

#include "common/config.h"
#include "common/heritage.h"
#include "common/result.h"
#include "worker/loop/openssl.h"

namespace streamgate {

// From the PEM texts in `config`. Reason::tls_failed, with the file's name and OpenSSL's errors, if
// a text cannot be used or the key does not belong to the certificate. Never asks for a passphrase.
Result<SslContext> make_server_context(const ListenTls& config, const TicketKey& ticket_key);

// When the context's certificate expires, in seconds since 1970; 0 if it cannot be read.
int64_t certificate_expiry(const SSL_CTX& context);

// An SSL on `fd`, ready for the handshake; null if there is no memory.
Ssl make_server_tls(SSL_CTX& context, int fd);

}  // namespace streamgate
