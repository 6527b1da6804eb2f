#include "worker/upstream/proxy_handshake.h"

#include <algorithm>
#include <utility>

#include "common/ip_address.h"
#include "worker/http/base64.h"
#include "worker/http/head_writer.h"
#include "worker/http/response_parser.h"

namespace streamgate {
namespace {

Error proxy_error(std::string detail) { return {Reason::proxy_failed, std::move(detail)}; }

class ConnectHandshake final : public ProxyHandshake {
 public:
  ConnectHandshake(const ProxyAddress& proxy, const TunnelTarget& target) : proxy_(proxy) {
    HeadWriter head(512);
    head.request_line("CONNECT", target.authority());
    head.field("Host", target.authority());
    if (!proxy.user.empty()) head.field("Proxy-Authorization", proxy_authorization(proxy));
    send(std::move(head).finish());
    // A successful answer to CONNECT has no body, as one to HEAD (RFC 9112 6.3).
    parser_.reset(Method::head);
  }

  Result<void> receive(std::string_view bytes) override {
    auto item = parser_.next(bytes);
    if (!item) return proxy_error("malformed answer to CONNECT: " + item.error().detail);
    if (item->kind == ResponseParser::ItemKind::need_more) return {};
    const int status = parser_.head().status;
    if (status < 200 || status > 299) return refused(status);
    if (!bytes.empty()) return proxy_error("bytes after the answer to CONNECT");
    is_done_ = true;
    return {};
  }

 private:
  Error refused(int status) {
    if (status == 407) {
      return proxy_error(std::string(problem_of_credentials(proxy_)));
    }
    is_about_target_ = true;
    std::string detail = "CONNECT: " + std::to_string(status) + " ";
    detail += reason_phrase(status);
    const auto cause = find_field(parser_.head().fields, "X-Squid-Error");
    if (cause) detail += ", " + std::string(*cause);
    return proxy_error(std::move(detail));
  }

  const ProxyAddress& proxy_;
  ResponseParser parser_;
};

// RFC 1928.
constexpr char kSocksVersion = 5;
constexpr char kNoAuthentication = 0;
constexpr char kUserPassword = 2;
constexpr char kConnect = 1;
enum AddressType : uint8_t { kIpv4 = 1, kName = 3, kIpv6 = 4 };

std::string_view socks_refusal(uint8_t code) {
  constexpr std::string_view kTexts[] = {"general failure",       "not allowed by its rules",
                                         "network unreachable",   "host unreachable",
                                         "connection refused",    "TTL expired",
                                         "command not supported", "address type not supported"};
  return code >= 1 && code <= std::size(kTexts) ? kTexts[code - 1] : "unknown failure";
}

class SocksHandshake final : public ProxyHandshake {
 public:
  SocksHandshake(const ProxyAddress& proxy, const TunnelTarget& target)
      : proxy_(proxy), target_(target) {
    send(proxy.user.empty() ? std::string{kSocksVersion, 1, kNoAuthentication}
                            : std::string{kSocksVersion, 2, kNoAuthentication, kUserPassword});
  }

  Result<void> receive(std::string_view bytes) override {
    input_ += bytes;
    const auto size = size_of_message();
    if (!size) return size.error();
    if (input_.size() < *size) return {};
    if (input_.size() > *size) return proxy_error("SOCKS: bytes after the answer");
    auto taken = take_message();
    input_.clear();
    return taken;
  }

 private:
  enum class Step { method, authentication, reply };

  uint8_t byte(size_t index) const { return static_cast<uint8_t>(input_[index]); }

  // Computed from the bytes that have arrived; grows with them.
  Result<size_t> size_of_message() {
    if (step_ != Step::reply) return size_t{2};
    if (input_.size() < 2) return size_t{2};
    // A proxy may end the connection after the code of a failure.
    if (byte(0) != kSocksVersion) return not_socks();
    if (byte(1) != 0) {
      is_about_target_ = true;
      return proxy_error("SOCKS: " + std::string(socks_refusal(byte(1))) + " (" +
                         std::to_string(byte(1)) + ")");
    }
    if (input_.size() < 5) return size_t{5};
    constexpr size_t kBeforeAddress = 4;
    constexpr size_t kPortBytes = 2;
    switch (byte(3)) {
      case kIpv4:
        return kBeforeAddress + 4 + kPortBytes;
      case kIpv6:
        return kBeforeAddress + 16 + kPortBytes;
      case kName:
        return kBeforeAddress + 1 + byte(4) + kPortBytes;
      default:
        return proxy_error("SOCKS: unknown type of address in the answer");
    }
  }

  Result<void> take_message() {
    switch (step_) {
      case Step::method:
        return take_method();
      case Step::authentication:
        // RFC 1929 2: version 1, then 0 for success. Some proxies answer with version 5.
        if (byte(1) != 0) return proxy_error("SOCKS: the proxy refuses the user or the password");
        ask_for_target();
        return {};
      case Step::reply:
        is_done_ = true;
        return {};
    }
    return {};
  }

  Result<void> take_method() {
    if (byte(0) != kSocksVersion) return not_socks();
    const char method = input_[1];
    if (method == kNoAuthentication) {
      ask_for_target();
      return {};
    }
    if (method != kUserPassword || proxy_.user.empty()) {
      return proxy_error(proxy_.user.empty() ? "SOCKS: the proxy asks for a user and a password"
                                             : "SOCKS: the proxy accepts no password");
    }
    step_ = Step::authentication;
    std::string message{1, static_cast<char>(proxy_.user.size())};
    message += proxy_.user;
    message += static_cast<char>(proxy_.password.size());
    message += proxy_.password;
    send(std::move(message));
    return {};
  }

  void ask_for_target() {
    step_ = Step::reply;
    std::string message{kSocksVersion, kConnect, 0};
    if (const auto address = IpAddress::parse(target_.host)) {
      message += static_cast<char>(address->is_v4 ? kIpv4 : kIpv6);
      message.append(reinterpret_cast<const char*>(address->bytes.data()), address->is_v4 ? 4 : 16);
    } else {
      // A host of a URL has at most 253 bytes.
      message += static_cast<char>(kName);
      message += static_cast<char>(target_.host.size());
      message += target_.host;
    }
    message += static_cast<char>(target_.port >> 8U);
    message += static_cast<char>(target_.port & 0xffU);
    send(std::move(message));
  }

  static Error not_socks() { return proxy_error("the proxy does not speak SOCKS5"); }

  const ProxyAddress& proxy_;
  const TunnelTarget target_;
  Step step_ = Step::method;
  std::string input_;  // of the current message; at most 262 bytes and one read
};

}  // namespace

TunnelTarget TunnelTarget::of(const SocketAddress& address) {
  return {address.ip().to_string(), address.port()};
}

std::string TunnelTarget::authority() const {
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::unique_ptr<ProxyHandshake> ProxyHandshake::make(const ProxyAddress& proxy,
                                                     const TunnelTarget& target) {
  if (proxy.kind == ProxyAddress::Kind::http) {
    return std::make_unique<ConnectHandshake>(proxy, target);
  }
  return std::make_unique<SocksHandshake>(proxy, target);
}

std::string_view problem_of_credentials(const ProxyAddress& proxy) {
  return proxy.user.empty() ? "407: the proxy asks for a user and a password"
                            : "407: the proxy refuses the user or the password";
}

std::string proxy_authorization(const ProxyAddress& proxy) {
  return proxy.user.empty() ? std::string()
                            : "Basic " + encode_base64(proxy.user + ":" + proxy.password);
}

}  // namespace streamgate
