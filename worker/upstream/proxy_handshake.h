// The handshake with a proxy that opens a tunnel to an upstream: HTTP CONNECT (RFC 9110 9.3.6) or
// SOCKS5 (RFC 1928, user and password as in RFC 1929). Bytes in, bytes out, without a socket.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/proxy_address.h"
#include "common/result.h"
#include "common/socket_address.h"
#include "common/url.h"

namespace streamgate {

// The target that the proxy connects to.
struct TunnelTarget {
  std::string host;  // a name, or an address literal without brackets
  uint16_t port = 0;

  static TunnelTarget of(const SocketAddress& address);
  static TunnelTarget of(const HttpUrl& url) { return {url.host, url.port}; }
  std::string authority() const;  // host:port, with brackets around IPv6
};

class ProxyHandshake {
 public:
  // `proxy` outlives the handshake.
  static std::unique_ptr<ProxyHandshake> make(const ProxyAddress& proxy,
                                              const TunnelTarget& target);
  virtual ~ProxyHandshake() = default;
  ProxyHandshake(const ProxyHandshake&) = delete;
  ProxyHandshake& operator=(const ProxyHandshake&) = delete;

  // The bytes that are to be sent now; may be called again after each receive().
  std::string_view to_send() const { return std::string_view(output_).substr(sent_); }
  void sent(size_t bytes) { sent_ += bytes; }

  // Takes bytes of the proxy, split anywhere. Fails with proxy_failed if the proxy refuses, if its
  // answer is malformed or too long, or if bytes follow it: an upstream does not speak first. The
  // detail has no address and no credential. No call may follow a failure.
  virtual Result<void> receive(std::string_view bytes) = 0;

  bool is_done() const { return is_done_; }
  // After a failure: the proxy could not reach this target, so another address may be tried.
  bool is_about_target() const { return is_about_target_; }

 protected:
  ProxyHandshake() = default;
  void send(std::string bytes) {
    output_ = std::move(bytes);
    sent_ = 0;
  }
  bool is_done_ = false;
  bool is_about_target_ = false;

 private:
  std::string output_;
  size_t sent_ = 0;
};

// The detail for a 407 of the proxy.
std::string_view problem_of_credentials(const ProxyAddress& proxy);

// The value of Proxy-Authorization (RFC 7617); empty without a user.
std::string proxy_authorization(const ProxyAddress& proxy);

}  // namespace streamgate
