#include "worker/loop/openssl.h"

#include <openssl/err.h>

#include <utility>

namespace streamgate {

std::string take_tls_errors() {
  // The words for the codes; does nothing once there has been a context.
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
  // Freed without having been shut down, a connection takes its session with it.
  SSL_set_shutdown(ssl.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  ssl.reset();
  ERR_clear_error();
}

}  // namespace streamgate
