// A socket address (IPv4, IPv6 or a Unix path) as a value that can be bound, connected and printed.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "common/ip_address.h"
#include "common/result.h"

namespace streamgate {

class SocketAddress {
 public:
  SocketAddress() = default;
  SocketAddress(const IpAddress& address, uint16_t port);
  static SocketAddress from_native(const sockaddr* address, socklen_t length);

  // `0.0.0.0:8080`, `[::]:8080`, `unix:/run/x.sock`. A port is required; 0 lets the kernel choose.
  static Result<SocketAddress> parse(std::string_view text);

  int family() const { return storage_.ss_family; }
  bool is_ip() const { return family() == AF_INET || family() == AF_INET6; }
  uint16_t port() const;     // 0 for a Unix path
  IpAddress ip() const;      // requires is_ip()
  std::string path() const;  // the Unix path, else empty
  std::string to_string() const;

  const sockaddr* native() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t length() const { return length_; }

  bool operator==(const SocketAddress& other) const;

 private:
  sockaddr_storage storage_{};
  socklen_t length_ = 0;
};

// Whether the kernel refuses to listen on both at once: they are equal, or one is the wildcard of
// the other's family and the ports are equal (IPv6 sockets are V6ONLY here). Port 0 overlaps
// nothing.
bool overlap(const SocketAddress& a, const SocketAddress& b);

}  // namespace streamgate
