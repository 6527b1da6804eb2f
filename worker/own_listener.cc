#include "worker/own_listener.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <string>

#include "common/system_error.h"

namespace streamgate {

SocketAddress on_loopback(const SocketAddress& address) {
  if (!address.is_ip()) return address;
  const std::string port = ":" + std::to_string(address.port());
  const bool is_v6 = address.family() == AF_INET6;
  const std::string wildcard = is_v6 ? "[::]" + port : "0.0.0.0" + port;
  if (address.to_string() != wildcard) return address;
  const auto loopback = SocketAddress::parse((is_v6 ? "[::1]" : "127.0.0.1") + port);
  return loopback ? *loopback : address;
}

Result<UniqueFd> connect_to_listener(const SocketAddress& address, long silence_seconds) {
  UniqueFd socket(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return system_error("socket");
  const timeval limit{silence_seconds, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (::connect(socket.get(), address.native(), address.length()) != 0) {
    return system_error(address.to_string());
  }
  return socket;
}

}  // namespace streamgate
