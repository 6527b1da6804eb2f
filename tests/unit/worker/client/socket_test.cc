#include "worker/client/socket.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <string>

#include "common/socket_address.h"
#include "common/unique_fd.h"
#include "tests/unit/loopback.h"

namespace streamgate {
namespace {

// A client that reads nothing, and our end of its connection. The listener has the given option.
struct Connection {
  Connection(int level, int option, int value) {
    const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::setsockopt(listener.get(), level, option, &value, sizeof value), 0);
    const SocketAddress address = testing_peers::bind_to_loopback(listener.get());
    EXPECT_EQ(::listen(listener.get(), 1), 0);
    ClientSocket::prepare_listener(listener.get());
    client.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(client.get(), address.native(), address.length()), 0);
    accepted.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK));
    EXPECT_TRUE(accepted.valid());
  }

  UniqueFd client;
  UniqueFd accepted;
};

// Writes until the socket has no room. Returns the number of bytes.
size_t fill(ClientSocket& socket) {
  size_t all = 0;
  while (const size_t room = socket.room()) {
    const std::string bytes(room, 'x');
    const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    const size_t taken = socket.write({&part, 1}).bytes;
    EXPECT_EQ(taken, room);
    if (taken < room) break;
    all += room;
  }
  return all;
}

// The option has the effect of net.ipv4.tcp_notsent_lowat, which only root may set.
TEST(ClientSocketTest, TakesAsMuchAsItsRoomDespiteALimitOfUnsentBytes) {
  constexpr int kFew = 16 * 1024;
  const Connection connection(IPPROTO_TCP, TCP_NOTSENT_LOWAT, kFew);
  ClientSocket socket(connection.accepted.get(), nullptr);
  EXPECT_GT(fill(socket), size_t{kFew});
}

TEST(ClientSocketTest, QueuesFewUnsentBytes) {
  constexpr size_t kInFlight = 256 * 1024;  // in the client's buffer, which it does not read
  const Connection connection(IPPROTO_TCP, TCP_NODELAY, 1);
  ClientSocket socket(connection.accepted.get(), nullptr);
  EXPECT_LE(fill(socket), ClientSocket::kMaxUnsentBytes + kInFlight);
}

// A test cannot use up the TCP memory of the system, but it can make the send buffer as small as
// the kernel would.
TEST(ClientSocketTest, HasNoMoreRoomThanTheSmallestBuffer) {
  constexpr size_t kGranted = 4096;
  const Connection connection(SOL_SOCKET, SO_SNDBUF, 1);
  ClientSocket socket(connection.accepted.get(), nullptr);
  const size_t room = socket.room();
  EXPECT_LE(room, kGranted);
  EXPECT_GE(room, kGranted / 2);
}

TEST(ClientSocketTest, ASmallerSendBufferThanBeforeWasCut) {
  const Connection connection(IPPROTO_TCP, TCP_NODELAY, 1);
  const int fd = connection.accepted.get();
  ClientSocket socket(fd, nullptr);
  EXPECT_FALSE(socket.was_cut());
  const int least = 1;
  ASSERT_EQ(::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof least), 0);
  EXPECT_TRUE(socket.was_cut());
}

}  // namespace
}  // namespace streamgate
