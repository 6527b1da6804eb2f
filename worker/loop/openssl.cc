#include "worker/loop/openssl.h"

#include <openssl/err.h>

#include <utility>

namespace streamgate {
namespace {

TlsOutcome outcome_of(const SSL& ssl, int result) {
  if (result == 1) return TlsOutcome::done;
  switch (SSL_get_error(&ssl, result)) {
    case SSL_ERROR_WANT_READ:
      return TlsOutcome::wants_read;
    case SSL_ERROR_WANT_WRITE:
      return TlsOutcome::wants_write;
    case SSL_ERROR_ZERO_RETURN:
      return TlsOutcome::closed;
    case SSL_ERROR_SSL:
      break;
    default:
      return TlsOutcome::failed;
  }
  const unsigned long code = ERR_peek_error();
  const bool is_truncated = ERR_GET_LIB(code) == ERR_LIB_SSL &&
                            ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
  return is_truncated ? TlsOutcome::truncated : TlsOutcome::failed;
}

}  // namespace

// SSL_get_error() also reads the error queue, so the queue must be empty before each call.

TlsOutcome tls_handshake(SSL& ssl) {
  ERR_clear_error();
  return outcome_of(ssl, SSL_do_handshake(&ssl));
}

TlsMoved tls_read(SSL& ssl, std::span<char> into) {
  ERR_clear_error();
  size_t bytes = 0;
  const int result = SSL_read_ex(&ssl, into.data(), into.size(), &bytes);
  return {bytes, outcome_of(ssl, result)};
}

TlsMoved tls_write(SSL& ssl, std::span<const char> bytes) {
  ERR_clear_error();
  size_t written = 0;
  const int result = SSL_write_ex(&ssl, bytes.data(), bytes.size(), &written);
  return {written, outcome_of(ssl, result)};
}

std::string take_tls_errors() {
  // Loads the texts of the codes; does nothing after the first context has been made.
  OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS, nullptr);
  std::string out;
  while (const unsigned long code = ERR_get_error()) {
    char text[256];
    ERR_error_string_n(code, text, sizeof text);
    if (!out.empty()) out += "; ";
    out += text;
  }
  return out;
}

Error tls_error(std::string what) {
  const std::string why = take_tls_errors();
  if (!why.empty()) what += ": " + why;
  return {Reason::tls_failed, std::move(what)};
}

void close_tls(Ssl ssl, TlsGoodbye goodbye) {
  if (!ssl) return;
  ERR_clear_error();
  if (goodbye == TlsGoodbye::polite && SSL_is_init_finished(ssl.get()) != 0) {
    SSL_shutdown(ssl.get());
  }
  // OpenSSL marks the session of a connection that was not shut down as not resumable.
  SSL_set_shutdown(ssl.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  ssl.reset();
  ERR_clear_error();
}

}  // namespace streamgate
