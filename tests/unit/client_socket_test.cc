#include "worker/client_socket.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <string>

#include "common/socket_address.h"
#include "common/unique_fd.h"

namespace streamgate {
namespace {

// As net.ipv4.tcp_notsent_lowat, which only root may set, does it for all sockets.
TEST(ClientSocketTest, TakesWhatItHasRoomForOnASystemThatLimitsUnsentBytes) {
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int few = 16 * 1024;
  ASSERT_EQ(::setsockopt(listener.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &few, sizeof few), 0);
  const SocketAddress any(*IpAddress::parse("127.0.0.1"), 0);
  ASSERT_EQ(::bind(listener.get(), any.native(), any.length()), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  ClientSocket::prepare_listener(listener.get());
  sockaddr_storage name{};
  socklen_t length = sizeof name;
  ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&name), &length);
  const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&name), length), 0);
  const UniqueFd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK));
  ASSERT_TRUE(accepted.valid());

  ClientSocket socket(accepted.get(), nullptr);
  size_t all = 0;
  while (const size_t room = socket.room()) {  // the client reads nothing
    const std::string bytes(room, 'x');
    const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    ASSERT_EQ(socket.write({&part, 1}).bytes, room);
    all += room;
  }
  EXPECT_GT(all, size_t{few});
}

}  // namespace
}  // namespace streamgate
