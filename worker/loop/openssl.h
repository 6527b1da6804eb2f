// Ownership of OpenSSL objects, and the code that both sides of TLS share: reading, writing and the
// handshake with OpenSSL's error codes as one outcome, errors as text, and the end of a connection.
//
// Only the modules that tests/architecture/include_directions.py lists may include OpenSSL's
// headers. OpenSSL writes to sockets without MSG_NOSIGNAL, so the process ignores SIGPIPE.
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <span>
#include <string>

#include "common/result.h"
#include "worker/loop/event.h"

namespace streamgate {

using SslContext = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;
using Ssl = std::unique_ptr<SSL, Freer<SSL_free>>;
using TlsSession = std::unique_ptr<SSL_SESSION, Freer<SSL_SESSION_free>>;

// The longest plaintext of one TLS record (RFC 8446 5.1).
inline constexpr size_t kMaxRecordBytes = SSL3_RT_MAX_PLAIN_LENGTH;

enum class TlsOutcome {
  done,
  wants_read,   // repeat the call when the socket is readable
  wants_write,  // repeat it when the socket is writable
  closed,       // the peer sent close_notify
  truncated,    // the connection ended without close_notify
  failed,       // anything else
};
struct TlsMoved {
  size_t bytes;  // 0 unless done
  TlsOutcome outcome;
};

// The socket is non-blocking. After a failure take_tls_errors() has the reason, until the next
// call.
TlsOutcome tls_handshake(SSL& ssl);
TlsMoved tls_read(SSL& ssl, std::span<char> into);
TlsMoved tls_write(SSL& ssl, std::span<const char> bytes);

// OpenSSL's error queue as text. Empties the queue.
std::string take_tls_errors();

// Reason::tls_failed with `what` and OpenSSL's error queue as detail. Empties the queue.
Error tls_error(std::string what);

// Frees `ssl`. polite: sends close_notify first, in one attempt that does not block. The session
// can be resumed after either.
enum class TlsGoodbye { polite, abrupt };
void close_tls(Ssl ssl, TlsGoodbye goodbye);

}  // namespace streamgate
