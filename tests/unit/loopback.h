// Binds the sockets of tests to loopback.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "common/socket_address.h"

namespace streamgate::testing_peers {

// Binds `fd` to a free port, and returns its address.
inline SocketAddress bind_to_loopback(int fd, const char* address = "127.0.0.1") {
  const SocketAddress any(*IpAddress::parse(address), 0);
  EXPECT_EQ(::bind(fd, any.native(), any.length()), 0);
  sockaddr_storage name{};
  socklen_t length = sizeof name;
  EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length), 0);
  return SocketAddress::from_native(reinterpret_cast<sockaddr*>(&name), length);
}

}  // namespace streamgate::testing_peers
