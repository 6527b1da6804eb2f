#include "common/socket_address.h"

#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "common/ascii.h"

namespace streamgate {

SocketAddress::SocketAddress(const IpAddress& address, uint16_t port) {
  if (address.is_v4) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(storage_);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, address.bytes.data(), 4);
    length_ = sizeof v4;
  } else {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(storage_);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&v6.sin6_addr, address.bytes.data(), 16);
    length_ = sizeof v6;
  }
}

SocketAddress SocketAddress::from_native(const sockaddr* address, socklen_t length) {
  SocketAddress out;
  out.length_ = std::min<socklen_t>(length, sizeof out.storage_);
  std::memcpy(&out.storage_, address, out.length_);
  return out;
}

Result<SocketAddress> SocketAddress::parse(std::string_view text) {
  const Error error{Reason::bad_request, "'" + std::string(text) +
                                             "' is not an address: write 0.0.0.0:8080, [::]:8080 "
                                             "or unix:/path"};
  if (text.starts_with("unix:")) {
    const std::string_view path = text.substr(5);
    SocketAddress out;
    auto& un = reinterpret_cast<sockaddr_un&>(out.storage_);
    if (!path.starts_with('/') || path.size() >= sizeof un.sun_path) return error;
    un.sun_family = AF_UNIX;
    std::memcpy(un.sun_path, path.data(), path.size());
    out.length_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    return out;
  }
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return error;
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto ip = IpAddress::parse(host);
  const auto port = ascii::parse_uint(text.substr(colon + 1));
  if (!ip || ip->is_v4 == bracketed || !port || *port > 65535) return error;
  return SocketAddress(*ip, static_cast<uint16_t>(*port));
}

uint16_t SocketAddress::port() const {
  if (family() == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(storage_).sin_port);
  if (family() == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(storage_).sin6_port);
  return 0;
}

IpAddress SocketAddress::ip() const {
  IpAddress out;
  if (family() == AF_INET) {
    std::memcpy(out.bytes.data(), &reinterpret_cast<const sockaddr_in&>(storage_).sin_addr, 4);
  } else {
    out.is_v4 = false;
    std::memcpy(out.bytes.data(), &reinterpret_cast<const sockaddr_in6&>(storage_).sin6_addr, 16);
  }
  return out;
}

std::string SocketAddress::path() const {
  if (family() != AF_UNIX) return {};
  const auto& un = reinterpret_cast<const sockaddr_un&>(storage_);
  const size_t most =
      length_ > offsetof(sockaddr_un, sun_path) ? length_ - offsetof(sockaddr_un, sun_path) : 0;
  return {un.sun_path, strnlen(un.sun_path, most)};
}

std::string SocketAddress::to_string() const {
  if (family() == AF_UNIX) return "unix:" + path();
  if (!is_ip()) return "none";
  const std::string host = ip().to_string();
  return (family() == AF_INET ? host : "[" + host + "]") + ":" + std::to_string(port());
}

bool SocketAddress::operator==(const SocketAddress& other) const {
  if (family() != other.family()) return false;
  if (is_ip()) return port() == other.port() && ip() == other.ip();
  return path() == other.path();
}

bool overlap(const SocketAddress& a, const SocketAddress& b) {
  if (a.family() != b.family()) return false;
  if (!a.is_ip()) return a == b;
  if (a.port() != b.port() || a.port() == 0) return false;
  const auto is_wildcard = [](const SocketAddress& address) {
    IpAddress any;
    any.is_v4 = address.family() == AF_INET;
    return address.ip() == any;
  };
  return a.ip() == b.ip() || is_wildcard(a) || is_wildcard(b);
}

}  // namespace streamgate
