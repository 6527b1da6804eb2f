#include "worker/client/socket.h"

#include <fcntl.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "common/check.h"
#include "worker/loop/openssl.h"

namespace streamgate {
namespace {

// The room of a socket without SO_MEMINFO.
constexpr size_t kUsualRoom = size_t{64} * 1024;
// When the system's TCP memory (net.ipv4.tcp_mem) is used up, the kernel cuts a send buffer down to
// 4,608 bytes and fills 4,096 of them (the first number of net.ipv4.tcp_wmem).
constexpr size_t kMinReserve = 512;

struct SendBuffer {
  size_t capacity = 0;  // 0: unknown
  size_t used = 0;
};

SendBuffer send_buffer_of(int fd) {
  std::array<uint32_t, SK_MEMINFO_VARS> memory{};
  socklen_t length = sizeof memory;
  if (::getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory.data(), &length) != 0) return {};
  // TCP sockets report the bytes in their queue, Unix sockets the bytes that the peer has not read.
  const size_t queued = memory[SK_MEMINFO_WMEM_QUEUED];
  return {memory[SK_MEMINFO_SNDBUF], queued > 0 ? queued : memory[SK_MEMINFO_WMEM_ALLOC]};
}

// If splice() fails with EAGAIN, the socket is full: the pipe holds the bytes.
ClientSocket::Moved moved_of(ssize_t result) {
  if (result >= 0) return {static_cast<size_t>(result)};
  return {.gone = errno != EAGAIN && errno != EINTR};
}

ClientSocket::Moved receive(int fd, std::span<char> into, int flags) {
  const ssize_t received = ::recv(fd, into.data(), into.size(), flags);
  if (received == 0) return {.gone = true};
  return moved_of(received);
}

ClientSocket::Moved moved_of(const TlsMoved& moved) {
  switch (moved.outcome) {
    case TlsOutcome::done:
      return {moved.bytes};
    case TlsOutcome::wants_read:
      return {};
    case TlsOutcome::wants_write:
      return {.wants_write = true};
    default:
      return {.gone = true};
  }
}

// Hands out the bytes of several parts in pieces of at most one record: a blocked SSL_write must be
// repeated with at least the bytes that it was given.
class Pieces {
 public:
  explicit Pieces(std::span<const iovec> parts) : parts_(parts) { skip_empty(); }

  bool empty() const { return index_ == parts_.size(); }

  // In place if one part holds enough bytes for a record, else gathered in `room`.
  std::span<const char> next(std::span<char, kMaxRecordBytes> room) const {
    const std::span<const char> first = rest_of(index_, offset_);
    const bool is_last = index_ + 1 == parts_.size();
    if (first.size() >= room.size() || is_last)
      return first.first(std::min(first.size(), room.size()));
    size_t filled = 0;
    for (size_t i = index_; i < parts_.size() && filled < room.size(); ++i) {
      const std::span<const char> more = rest_of(i, i == index_ ? offset_ : 0);
      const size_t size = std::min(more.size(), room.size() - filled);
      std::memcpy(room.data() + filled, more.data(), size);
      filled += size;
    }
    return room.first(filled);
  }

  void take(size_t bytes) {
    while (bytes > 0) {
      const size_t step = std::min(bytes, rest_of(index_, offset_).size());
      offset_ += step;
      bytes -= step;
      skip_empty();
    }
  }

 private:
  std::span<const char> rest_of(size_t index, size_t offset) const {
    const iovec& part = parts_[index];
    return {static_cast<const char*>(part.iov_base) + offset, part.iov_len - offset};
  }
  void skip_empty() {
    while (index_ < parts_.size() && offset_ == parts_[index_].iov_len) {
      ++index_;
      offset_ = 0;
    }
  }

  std::span<const iovec> parts_;
  size_t index_ = 0;
  size_t offset_ = 0;  // in that part
};

}  // namespace

// Accepted sockets inherit the option. It replaces net.ipv4.tcp_notsent_lowat. Unix sockets have no
// such limit.
void ClientSocket::prepare_listener(int fd) {
  const int bytes = int{kMaxUnsentBytes};
  ::setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
}

ClientSocket::ClientSocket(int fd, Ssl ssl)
    : fd_(fd), ssl_(std::move(ssl)), largest_capacity_(send_buffer_of(fd).capacity) {}

// Abrupt: shut_writing() or say_goodbye() has already sent close_notify if the end is in order.
ClientSocket::~ClientSocket() { close_tls(std::move(ssl_), TlsGoodbye::abrupt); }

ClientSocket::Handshake ClientSocket::shake_hands() {
  switch (tls_handshake(*ssl_)) {
    case TlsOutcome::done:
      return Handshake::done;
    case TlsOutcome::wants_read:
      return Handshake::wants_read;
    case TlsOutcome::wants_write:
      return Handshake::wants_write;
    default:
      break;
  }
  const unsigned long error = ERR_peek_error();
  const int reason = ERR_GET_REASON(error);
  const bool is_http = reason == SSL_R_HTTP_REQUEST || reason == SSL_R_HTTPS_PROXY_REQUEST;
  if (ERR_GET_LIB(error) != ERR_LIB_SSL || !is_http) return Handshake::failed;
  close_tls(std::move(ssl_), TlsGoodbye::abrupt);
  return Handshake::plain_http;
}

ClientSocket::Moved ClientSocket::read(std::span<char> into) {
  if (ssl_) return moved_of(tls_read(*ssl_, into));
  return receive(fd_, into, 0);
}

ClientSocket::Moved ClientSocket::peek(std::span<char> into) const {
  return receive(fd_, into, MSG_PEEK);
}

ClientSocket::Moved ClientSocket::read_plain(std::span<char> into) { return receive(fd_, into, 0); }

bool ClientSocket::has_input() const {
  char byte = 0;
  return peek({&byte, 1}).bytes > 0;
}

ClientSocket::Moved ClientSocket::write(std::span<const iovec> parts, More more) {
  if (ssl_) return write_records(parts);
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts.data());  // sendmsg does not write to it
  message.msg_iovlen = parts.size();
  return moved_of(::sendmsg(fd_, &message, MSG_NOSIGNAL | (more == More::follows ? MSG_MORE : 0)));
}

ClientSocket::Moved ClientSocket::write_records(std::span<const iovec> parts) {
  std::array<char, kMaxRecordBytes> room;
  Moved moved;
  for (Pieces pieces(parts); !pieces.empty();) {
    const std::span<const char> piece = pieces.next(room);
    const Moved one = moved_of(tls_write(*ssl_, piece));
    moved.bytes += one.bytes;
    moved.gone = one.gone;
    if (one.bytes == 0) break;
    pieces.take(one.bytes);
  }
  return moved;
}

ClientSocket::Moved ClientSocket::splice_from(int pipe_read_fd, size_t most) {
  CHECK(!ssl_);
  return moved_of(
      ::splice(pipe_read_fd, nullptr, fd_, nullptr, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
}

ClientSocket::Moved ClientSocket::send_file(int fd, uint64_t offset, size_t most) {
  CHECK(!ssl_);
  auto from = static_cast<off_t>(offset);
  return moved_of(::sendfile(fd_, fd, &from, most));
}

bool ClientSocket::shut_writing() {
  if (ssl_) {
    ERR_clear_error();
    const int result = SSL_shutdown(ssl_.get());
    if (result < 0 && SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_WRITE) return false;
  }
  ::shutdown(fd_, SHUT_WR);
  return true;
}

size_t ClientSocket::room() {
  const auto [capacity, used] = send_buffer_of(fd_);
  if (capacity == 0) return kUsualRoom;
  largest_capacity_ = std::max(largest_capacity_, capacity);
  const size_t unused = capacity - std::min(capacity, used);
  if (unused < capacity / 4) return 0;
  const size_t unsent = unsent_of(used);
  if (unsent >= kMaxUnsentBytes / 2) return 0;
  // Packet headers count too, and small parts make many packets.
  const size_t reserve = std::max(unused / 16, kMinReserve);
  const size_t room = std::max<size_t>(unused - std::min(unused, reserve), 1);
  return std::min(room, kMaxUnsentBytes - unsent);
}

// Asks the kernel only if the answer could limit the room: `queued` includes the unsent bytes.
size_t ClientSocket::unsent_of(size_t queued) const {
  if (queued < kMaxUnsentBytes / 2) return queued;
  int unsent = 0;
  return ::ioctl(fd_, SIOCOUTQNSD, &unsent) == 0 && unsent > 0 ? static_cast<size_t>(unsent) : 0;
}

bool ClientSocket::was_cut() { return send_buffer_of(fd_).capacity < largest_capacity_; }

size_t ClientSocket::unacknowledged() const {
  int bytes = 0;
  return ::ioctl(fd_, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? static_cast<size_t>(bytes) : 0;
}

void ClientSocket::reset_on_close() {
  const struct linger at_once { 1, 0 };
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void ClientSocket::say_goodbye() { close_tls(std::move(ssl_), TlsGoodbye::polite); }

}  // namespace streamgate
