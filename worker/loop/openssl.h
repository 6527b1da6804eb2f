// Ownership of OpenSSL objects, and what both sides of TLS share: errors as text, and the end of a
// connection.
#pragma once

#include <openssl/ssl.h>

#include <string>

#include "common/result.h"
#include "worker/loop/event.h"

namespace streamgate {

using SslContext = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;
using Ssl = std::unique_ptr<SSL, Freer<SSL_free>>;
using TlsSession = std::unique_ptr<SSL_SESSION, Freer<SSL_SESSION_free>>;

// OpenSSL's error queue as text, emptied.
std::string take_tls_errors();

// Reason::tls_failed with `what` and OpenSSL's error queue, emptied.
Error tls_error(std::string what);

// Frees `ssl`. Polite: tells the peer (close_notify, one attempt that does not block); abrupt: says
// nothing. The session can be resumed after both.
enum class TlsGoodbye { polite, abrupt };
void close_tls(Ssl ssl, TlsGoodbye goodbye);

}  // namespace streamgate
