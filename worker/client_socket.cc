#include "worker/client_socket.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>

namespace streamgate {
namespace {

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

void ClientSocket::shut_writing() { ::shutdown(fd_, SHUT_WR); }

void ClientSocket::reset_on_close() {
  const struct linger at_once { 1, 0 };
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

}  // namespace streamgate
