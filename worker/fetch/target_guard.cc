#include "worker/fetch/target_guard.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "worker/fetch/bad_ports.h"

namespace streamgate {
namespace {

struct V4Block {
  uint32_t network;
  uint32_t mask;
};

constexpr V4Block block(unsigned a, unsigned b, unsigned c, unsigned d, unsigned bits) {
  return {(a << 24U) | (b << 16U) | (c << 8U) | d, bits == 0 ? 0U : ~0U << (32U - bits)};
}

// The IANA special-purpose registry (RFC 6890 and its updates), multicast and class E, and one
// address in public space that is a cloud's metadata service.
constexpr std::array kSpecialV4 = {
    block(0, 0, 0, 0, 8),         // "this network", RFC 791
    block(10, 0, 0, 0, 8),        // RFC 1918
    block(100, 64, 0, 0, 10),     // carrier-grade NAT, RFC 6598
    block(127, 0, 0, 0, 8),       // loopback
    block(169, 254, 0, 0, 16),    // link-local, metadata services
    block(172, 16, 0, 0, 12),     // RFC 1918
    block(192, 0, 0, 0, 24),      // IETF protocol assignments
    block(192, 0, 2, 0, 24),      // documentation
    block(192, 88, 99, 0, 24),    // 6to4 relays
    block(192, 168, 0, 0, 16),    // RFC 1918
    block(198, 18, 0, 0, 15),     // benchmarking
    block(198, 51, 100, 0, 24),   // documentation
    block(203, 0, 113, 0, 24),    // documentation
    block(224, 0, 0, 0, 4),       // multicast
    block(240, 0, 0, 0, 4),       // reserved and broadcast
    block(168, 63, 129, 16, 32),  // the host agent of Azure's virtual machines
};

uint32_t v4_number(const uint8_t* bytes) {
  return (uint32_t{bytes[0]} << 24U) | (uint32_t{bytes[1]} << 16U) | (uint32_t{bytes[2]} << 8U) |
         uint32_t{bytes[3]};
}

bool is_public_v4(uint32_t number) {
  return std::none_of(kSpecialV4.begin(), kSpecialV4.end(), [number](const V4Block& special) {
    return (number & special.mask) == special.network;
  });
}

bool starts_with(const IpAddress& address, std::initializer_list<uint8_t> prefix) {
  return std::equal(prefix.begin(), prefix.end(), address.bytes.begin());
}

// RFC 5214 6.1: an interface identifier that carries an IPv4 address.
bool is_isatap(const IpAddress& address) {
  const uint8_t* id = address.bytes.data() + 8;
  return (id[0] & 0xfdU) == 0 && id[1] == 0 && id[2] == 0x5e && id[3] == 0xfe;
}

// Global unicast is 2000::/3 (RFC 4291 2.4) without the blocks that the registry reserves.
bool is_public_v6(const IpAddress& address) {
  if ((address.bytes[0] & 0xe0U) != 0x20) return false;
  if (starts_with(address, {0x20, 0x01}) && (address.bytes[2] & 0xfeU) == 0) {
    return false;  // 2001::/23: Teredo, ORCHID, benchmarking
  }
  if (starts_with(address, {0x20, 0x01, 0x0d, 0xb8})) return false;  // documentation
  if (starts_with(address, {0x20, 0x02})) return false;              // 6to4
  if (starts_with(address, {0x3f, 0xff}) && (address.bytes[2] & 0xf0U) == 0) {
    return false;  // 3fff::/20, documentation
  }
  return !is_isatap(address);
}

bool is_v4_mapped(const IpAddress& address) {
  return !address.is_v4 && starts_with(address, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff});
}

// Addresses that no configuration can open: those that are not unicast, and v4-mapped ones, which
// would bypass the rules about the IPv4 address inside. The kernel connects 0.0.0.0 and :: to this
// machine.
bool is_never_a_target(const IpAddress& address) {
  if (address.is_v4) return address.bytes[0] == 0 || address.bytes[0] >= 224;
  const bool unspecified = std::all_of(address.bytes.begin(), address.bytes.end(),
                                       [](uint8_t byte) { return byte == 0; });
  return unspecified || address.bytes[0] == 0xff || is_v4_mapped(address);
}

// The IPv4 address that a NAT64 (RFC 6052) or 6to4 (RFC 3056) gateway connects to.
std::optional<IpAddress> embedded_v4(const IpAddress& address) {
  if (address.is_v4) return std::nullopt;
  size_t at = 0;
  if (starts_with(address, {0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0})) {
    at = 12;
  } else if (starts_with(address, {0x20, 0x02})) {
    at = 2;
  } else {
    return std::nullopt;
  }
  IpAddress inner;
  std::memcpy(inner.bytes.data(), address.bytes.data() + at, 4);
  return inner;
}

// Names of RFC 6761 and RFC 6762, and names that resolvers and clouds use inside a machine or a
// site.
bool means_this_machine(std::string_view host) {
  if (host.find('.') == std::string_view::npos) return true;
  for (const std::string_view suffix : {".localhost", ".local", ".internal", ".localdomain"}) {
    if (host.ends_with(suffix)) return true;
  }
  return false;
}

// Whether a connection to `address` reaches a service that listens on one of `own`. A service on a
// wildcard or loopback address is reachable at all of 127.0.0.0/8, and the list of interfaces names
// only one address of that block.
bool is_reached_at(const std::vector<SocketAddress>& own, const SocketAddress& address) {
  const auto is_v4_loopback = [](const SocketAddress& candidate) {
    return candidate.family() == AF_INET && candidate.ip().bytes[0] == 127;
  };
  const bool to_loopback = is_v4_loopback(address);
  return std::any_of(own.begin(), own.end(), [&](const SocketAddress& each) {
    if (!each.is_ip() || each.port() != address.port()) return false;
    return (to_loopback && is_v4_loopback(each)) || each.ip() == address.ip();
  });
}

Error forbidden(Cause cause, std::string detail) {
  return Error::of(Reason::target_forbidden, cause, std::move(detail));
}

Error own_place(std::string detail) {
  return Error::of(Reason::loop, Cause::own_place, std::move(detail));
}

}  // namespace

bool is_public_address(const IpAddress& address) {
  return address.is_v4 ? is_public_v4(v4_number(address.bytes.data())) : is_public_v6(address);
}

TargetGuard::TargetGuard(const SecurityConfig& config, const OwnPlaces& own)
    : config_(config), own_addresses_(own.addresses), admin_addresses_(own.admin) {
  if (const auto url = parse_http_url(own.public_url)) {
    public_host_ = url->host;
    public_port_ = url->port;
  }
}

Result<void> TargetGuard::check_full_name(const HttpUrl& url, std::string_view full_name) const {
  return check_any_name(url, full_name);
}

Result<void> TargetGuard::check_any_name(const HttpUrl& url, std::string_view name) const {
  if (url.port == public_port_ && name == public_host_) {
    return own_place("host and port of public_url: " + url.authority());
  }
  for (const TargetPattern& pattern : config_.deny) {
    if (pattern.matches_host(name, url.port))
      return forbidden(Cause::denied, "denied: " + url.authority());
  }
  if (url.host_is_address()) return {};  // check_address() decides, also about the allow list
  const bool named =
      std::any_of(config_.allow.begin(), config_.allow.end(), [&url](const TargetPattern& pattern) {
        return pattern.kind != TargetPattern::Kind::any_host &&
               pattern.matches_host(url.host, url.port) && pattern.matches_path(url.path());
      });
  const bool private_names_open = config_.allow_all_private || !config_.allow_private.empty();
  if (!named && !private_names_open && means_this_machine(name)) {
    return forbidden(Cause::local_name, "a name of this machine or site: " + std::string(name));
  }
  return {};
}

Result<void> TargetGuard::check_name(const HttpUrl& url) const {
  if (auto allowed = check_any_name(url, url.host); !allowed || url.host_is_address())
    return allowed;
  if (config_.allow.empty() || is_allowed_by_name(url)) return check_port(url.port);
  // A range in the list may still allow the addresses of the name.
  const bool address_may_decide =
      std::any_of(config_.allow.begin(), config_.allow.end(), [&url](const TargetPattern& pattern) {
        return pattern.kind == TargetPattern::Kind::range &&
               (!pattern.port || *pattern.port == url.port) && pattern.matches_path(url.path());
      });
  if (address_may_decide) return {};
  return forbidden(Cause::not_allowed, "not in the allow list: " + url.authority());
}

Result<void> TargetGuard::check_unresolved_name(const HttpUrl& url) const {
  if (is_allowed_by_name(url)) return check_port(url.port);
  return forbidden(Cause::not_allowed_unresolved,
                   "a name that the proxy resolves, not in the allow list: " + url.authority());
}

Result<void> TargetGuard::check_address(const HttpUrl& url, const SocketAddress& address) const {
  const IpAddress ip = address.ip();
  const uint16_t port = address.port();
  if (is_reached_at(own_addresses_, address)) {
    return own_place("our own address " + address.to_string());
  }
  if (is_reached_at(admin_addresses_, address)) {
    return forbidden(Cause::own_place, "the admin listener " + address.to_string());
  }
  if (is_never_a_target(ip)) {
    return forbidden(Cause::not_unicast, "not a unicast address: " + address.to_string());
  }
  for (const TargetPattern& pattern : config_.deny) {
    if (pattern.matches_address(ip, port))
      return forbidden(Cause::denied, "denied: " + address.to_string());
  }
  if (!config_.allow.empty() && !is_allowed_by_name(url)) {
    const bool in_range =
        std::any_of(config_.allow.begin(), config_.allow.end(), [&](const TargetPattern& pattern) {
          return pattern.matches_address(ip, port) && pattern.matches_path(url.path());
        });
    if (!in_range)
      return forbidden(Cause::not_allowed, "not in the allow list: " + address.to_string());
  }
  if (is_public_address(ip) || is_opened(ip, port)) return check_port(port);
  return forbidden(Cause::not_public, "not a public address: " + address.to_string() +
                                          " (security.allow_private would open it)");
}

Result<void> TargetGuard::check_port(uint16_t port) const {
  if (!is_bad_port(port)) return {};
  if (std::find(config_.ports.begin(), config_.ports.end(), port) != config_.ports.end()) return {};
  return Error{Reason::port_forbidden, std::to_string(port) + " (security.ports would allow it)"};
}

bool TargetGuard::is_allowed_by_name(const HttpUrl& url) const {
  return std::any_of(
      config_.allow.begin(), config_.allow.end(), [&url](const TargetPattern& pattern) {
        return pattern.matches_host(url.host, url.port) && pattern.matches_path(url.path());
      });
}

bool TargetGuard::is_opened(const IpAddress& address, uint16_t port) const {
  if (config_.allow_all_private) return true;
  const auto listed = [&](const IpAddress& candidate) {
    return std::any_of(config_.allow_private.begin(), config_.allow_private.end(),
                       [&](const IpRange& range) { return range.contains(candidate, port); });
  };
  if (!listed(address)) return false;
  const auto inner = embedded_v4(address);
  return !inner || is_public_address(*inner) || (!is_never_a_target(*inner) && listed(*inner));
}

}  // namespace streamgate
