#include "worker/client_socket.h"

#include <fcntl.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>

namespace streamgate {
namespace {

// Of a socket that does not tell what it holds.
constexpr size_t kUsualRoom = size_t{64} * 1024;

// EAGAIN for splice as well: what it is asked for is in the pipe.
ClientSocket::Moved moved_of(ssize_t result) {
  if (result >= 0) return {static_cast<size_t>(result), false};
  return {0, errno != EAGAIN && errno != EINTR};
}

}  // namespace

ClientSocket::Moved ClientSocket::read(std::span<char> into) {
  const ssize_t received = ::recv(fd_, into.data(), into.size(), 0);
  if (received == 0) return {0, true};
  return moved_of(received);
}

ClientSocket::Moved ClientSocket::write(std::span<const iovec> parts, More more) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts.data());  // sendmsg does not write to it
  message.msg_iovlen = parts.size();
  return moved_of(::sendmsg(fd_, &message, MSG_NOSIGNAL | (more == More::follows ? MSG_MORE : 0)));
}

ClientSocket::Moved ClientSocket::splice_from(int pipe_read_fd, size_t most) {
  return moved_of(
      ::splice(pipe_read_fd, nullptr, fd_, nullptr, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
}

size_t ClientSocket::room() const {
  std::array<uint32_t, SK_MEMINFO_VARS> memory{};
  socklen_t length = sizeof memory;
  if (::getsockopt(fd_, SOL_SOCKET, SO_MEMINFO, memory.data(), &length) != 0) return kUsualRoom;
  const size_t capacity = memory[SK_MEMINFO_SNDBUF];
  // TCP counts what it has queued; a Unix socket what the peer has not read.
  const size_t queued = memory[SK_MEMINFO_WMEM_QUEUED];
  const size_t used = queued > 0 ? queued : memory[SK_MEMINFO_WMEM_ALLOC];
  const size_t unused = capacity - std::min(capacity, used);
  if (unused < capacity / 4) return 0;
  // Packets have heads, which count too; those of pieces of pages are many.
  return std::max<size_t>(unused - unused / 16, 1);
}

size_t ClientSocket::unacknowledged() const {
  int bytes = 0;
  return ::ioctl(fd_, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? static_cast<size_t>(bytes) : 0;
}

void ClientSocket::shut_writing() { ::shutdown(fd_, SHUT_WR); }

void ClientSocket::reset_on_close() {
  const struct linger at_once { 1, 0 };
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

}  // namespace streamgate
