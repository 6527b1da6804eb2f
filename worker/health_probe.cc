#include "worker/health_probe.h"

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include <memory>
#include <string_view>

#include "common/system_error.h"
#include "worker/loop/openssl.h"
#include "worker/own_listener.h"

namespace streamgate {
namespace {

constexpr long kTimeoutSeconds = 5;
constexpr std::string_view kRequest =
    "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
// PROXY protocol, version 1: a connection that the proxy makes for itself.
constexpr std::string_view kOwnConnection = "PROXY UNKNOWN\r\n";
constexpr std::string_view kStatusLine = "HTTP/1.1 ";
constexpr size_t kStatusDigits = 3;

using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;

// Lower is better.
int rank(const ListenConfig& listener) {
  return (listener.proxy_protocol ? 2 : 0) + (listener.tls ? 1 : 0);
}

// Null if there is no listener.
const ListenConfig* best_listener(const Config& config) {
  const ListenConfig* best = nullptr;
  for (const ListenConfig& listener : config.listen) {
    if (!best || rank(listener) < rank(*best)) best = &listener;
  }
  return best;
}

bool send_all(BIO* bio, std::string_view text) {
  while (!text.empty()) {
    const int sent = ::BIO_write(bio, text.data(), static_cast<int>(text.size()));
    if (sent <= 0) return false;
    text.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

// The three digits of the status, or what arrived of the status line.
std::string read_status(BIO* bio) {
  std::string line(kStatusLine.size() + kStatusDigits, '\0');
  size_t length = 0;
  while (length < line.size()) {
    const int got = ::BIO_read(bio, line.data() + length, static_cast<int>(line.size() - length));
    if (got <= 0) break;
    length += static_cast<size_t>(got);
  }
  line.resize(length);
  return line.starts_with(kStatusLine) ? line.substr(kStatusLine.size()) : line;
}

std::string origin(const ListenConfig& listener, const SocketAddress& address) {
  if (!address.is_ip()) return address.to_string();
  return (listener.tls ? "https://" : "http://") + address.to_string();
}

}  // namespace

Result<std::string> probe_health(const Config& config) {
  const ListenConfig* listener = best_listener(config);
  if (!listener) return Error{Reason::internal, "the configuration has no listener"};
  const SocketAddress address = on_loopback(listener->address);
  const auto socket = connect_to_listener(address, kTimeoutSeconds);
  if (!socket) return socket.error();
  Bio bio(::BIO_new_socket(socket->get(), BIO_NOCLOSE));
  if (listener->proxy_protocol && !send_all(bio.get(), kOwnConnection)) {
    return system_error(address.to_string());
  }
  const SslContext context(::SSL_CTX_new(::TLS_client_method()));
  if (listener->tls) {
    BIO* encrypted = ::BIO_new_ssl(context.get(), 1);
    bio.reset(::BIO_push(encrypted, bio.release()));
  }
  const std::string status = send_all(bio.get(), kRequest) ? read_status(bio.get()) : "";
  if (status == "200") return origin(*listener, address);
  return Error{Reason::internal,
               address.to_string() + (status.empty() ? " did not answer" : " answered " + status)};
}

}  // namespace streamgate
