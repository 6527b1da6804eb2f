#include "common/proxy_address.h"

#include <algorithm>

#include "common/ascii.h"
#include "common/url.h"

namespace streamgate {
namespace {

constexpr size_t kMaxCredentialBytes = 255;  // of a user or a password (RFC 1929 2)

Error refuse(std::string_view why) {
  return {Reason::bad_request,
          "is not a proxy: " + std::string(why) +
              "; write none, or http://, socks5:// or socks5h:// with host:port or "
              "user:password@host:port"};
}

struct Scheme {
  std::string_view name;
  ProxyAddress::Kind kind;
  bool resolves_names;
};
constexpr Scheme kSchemes[] = {{"http://", ProxyAddress::Kind::http, false},
                               {"socks5h://", ProxyAddress::Kind::socks5, true},
                               {"socks5://", ProxyAddress::Kind::socks5, false}};

std::string_view scheme_of(const ProxyAddress& proxy) {
  for (const Scheme& scheme : kSchemes) {
    if (scheme.kind == proxy.kind && scheme.resolves_names == proxy.resolves_names) {
      return scheme.name;
    }
  }
  return {};
}

// Takes `user:password@` off the front of `rest`.
Result<void> take_credentials(std::string_view& rest, ProxyAddress& proxy) {
  const size_t at = rest.rfind('@');
  if (at == std::string_view::npos) return {};
  const std::string_view raw = rest.substr(0, at);
  rest.remove_prefix(at + 1);
  const size_t colon = raw.find(':');
  proxy.user = percent_decode(raw.substr(0, colon));
  if (colon != std::string_view::npos) proxy.password = percent_decode(raw.substr(colon + 1));
  if (proxy.user.empty()) return refuse("the user is empty");
  if (proxy.user.size() > kMaxCredentialBytes || proxy.password.size() > kMaxCredentialBytes) {
    return refuse("user and password have at most 255 bytes each");
  }
  // RFC 7617 2: the first colon of Basic credentials ends the user.
  if (proxy.kind == ProxyAddress::Kind::http && proxy.user.find(':') != std::string::npos) {
    return refuse("the user of an http proxy has no colon");
  }
  const auto is_control = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7f;
  };
  if (std::any_of(proxy.user.begin(), proxy.user.end(), is_control) ||
      std::any_of(proxy.password.begin(), proxy.password.end(), is_control)) {
    return refuse("user and password have no control bytes");
  }
  return {};
}

}  // namespace

Result<ProxyAddress> ProxyAddress::parse(std::string_view text) {
  if (text == "none") return ProxyAddress{};
  const auto* scheme = std::find_if(
      std::begin(kSchemes), std::end(kSchemes),
      [text](const Scheme& candidate) { return ascii::istarts_with(text, candidate.name); });
  if (scheme == std::end(kSchemes)) return refuse("the scheme is unknown");
  ProxyAddress proxy;
  proxy.kind = scheme->kind;
  proxy.resolves_names = scheme->resolves_names;
  std::string_view rest = text.substr(scheme->name.size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (auto taken = take_credentials(rest, proxy); !taken) return taken.error();
  if (rest.find_first_of("/?#\\") != std::string_view::npos) return refuse("it has a path");
  const size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos || rest.find(']', colon) != std::string_view::npos) {
    return refuse("the port is missing");
  }
  const auto url = parse_http_url("http://" + std::string(rest) + "/");
  if (!url) return refuse("the host or the port is not valid");
  proxy.host = url->host;
  proxy.port = url->port;
  return proxy;
}

std::string ProxyAddress::for_log() const {
  if (kind == Kind::none) return "none";
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return std::string(scheme_of(*this)) + (is_ipv6 ? "[" + host + "]" : host) + ":" +
         std::to_string(port);
}

std::string ProxyAddress::to_string() const {
  std::string out = for_log();
  if (user.empty()) return out;
  std::string credentials;
  percent_encode(user, credentials);
  credentials += ':';
  percent_encode(password, credentials);
  return out.insert(scheme_of(*this).size(), credentials + "@");
}

}  // namespace streamgate
