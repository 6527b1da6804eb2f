#include "worker/upstream/socket.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/check.h"

namespace streamgate {
namespace {

// OpenSSL reads ahead only while the receiver has room for all bytes that may have been read. Other
// bytes would stay in OpenSSL's buffers.
constexpr size_t kReadAheadRoom = size_t{256} * 1024;

bool is_not_ready(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

UpstreamSocket& UpstreamSocket::operator=(UpstreamSocket&& other) noexcept {
  if (this == &other) return *this;
  close(TlsGoodbye::abrupt);
  fd_ = std::move(other.fd_);
  ssl_ = std::move(other.ssl_);
  drained_ = other.drained_;
  return *this;
}

UpstreamSocket::Handshake UpstreamSocket::shake_hands() {
  switch (tls_handshake(*ssl_)) {
    case TlsOutcome::done:
      return Handshake::done;
    case TlsOutcome::wants_read:
      return Handshake::wants_read;
    case TlsOutcome::wants_write:
      return Handshake::wants_write;
    default:
      return Handshake::failed;
  }
}

Error UpstreamSocket::take_handshake_error() const { return handshake_error(*ssl_); }

TlsFacts UpstreamSocket::facts() const { return tls_facts(*ssl_); }

TlsSession UpstreamSocket::session() const {
  return TlsSession(ssl_ ? SSL_get1_session(ssl_.get()) : nullptr);
}

size_t UpstreamSocket::prepare_read(size_t room) {
  if (!ssl_ || room == 0) return room;
  SSL_set_read_ahead(ssl_.get(), room >= kReadAheadRoom ? 1 : 0);
  // read() may add the remaining bytes of a record.
  return std::max(kMaxRecordBytes, room - std::min(room, kMaxRecordBytes));
}

UpstreamSocket::ReadOutcome UpstreamSocket::read(std::span<char> space, size_t most) {
  if (ssl_) return read_records(space, most);
  const ssize_t got = ::recv(fd_.get(), space.data(), most, 0);
  // A short read has drained the socket: no second call is needed to see EAGAIN.
  drained_ = got < static_cast<ssize_t>(most);
  if (got > 0) return {static_cast<size_t>(got), drained_ ? ReadEnd::drained : ReadEnd::full};
  if (got == 0) return {0, ReadEnd::closed};
  return {0, is_not_ready(errno) ? ReadEnd::drained : ReadEnd::failed};
}

UpstreamSocket::ReadOutcome UpstreamSocket::read_records(std::span<char> space, size_t most) {
  size_t size = 0;
  while (size < most || (size < space.size() && SSL_pending(ssl_.get()) > 0)) {
    const size_t end = size < most ? most : space.size();
    const TlsMoved moved = tls_read(*ssl_, space.subspan(size, end - size));
    size += moved.bytes;
    switch (moved.outcome) {
      case TlsOutcome::done:
        break;
      case TlsOutcome::wants_read:
      case TlsOutcome::wants_write:
        return {size, ReadEnd::drained};
      case TlsOutcome::closed:
        return {size, ReadEnd::closed};
      case TlsOutcome::truncated:
        return {size, ReadEnd::truncated};
      case TlsOutcome::failed:
        return {size, ReadEnd::failed};
    }
  }
  return {size, ReadEnd::full};
}

UpstreamSocket::ReadOutcome UpstreamSocket::splice_into(Pipe& pipe, size_t most) {
  CHECK(can_splice());
  drained_ = false;
  switch (pipe.fill_from(fd_.get(), most)) {
    case Pipe::Filled::some:
      return {pipe.bytes(), ReadEnd::full};
    case Pipe::Filled::drained:
      return {0, ReadEnd::drained};
    case Pipe::Filled::closed:
      return {0, ReadEnd::closed};
    case Pipe::Filled::failed:
      break;
  }
  return {0, ReadEnd::failed};
}

bool UpstreamSocket::has_buffered() const { return ssl_ && SSL_has_pending(ssl_.get()) == 1; }

bool UpstreamSocket::has_unread() const {
  // What OpenSSL read ahead counts before it is decrypted: the socket does not report it any more.
  if (ssl_) return has_buffered();
  if (drained_) return false;
  char byte;
  return ::recv(fd_.get(), &byte, 1, MSG_PEEK) >= 0;  // 0: the end
}

bool UpstreamSocket::is_quiet() {
  char byte;
  if (!ssl_) return ::recv(fd_.get(), &byte, 1, MSG_PEEK) < 0 && is_not_ready(errno);
  const ReadOutcome outcome = read_records({&byte, 1}, 1);
  return outcome.bytes == 0 && outcome.end == ReadEnd::drained;
}

UpstreamSocket::Written UpstreamSocket::write(std::string_view bytes) {
  if (!ssl_) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) return {static_cast<size_t>(sent)};
    return {.is_broken = !is_not_ready(errno)};
  }
  const TlsMoved moved = tls_write(*ssl_, bytes);
  return {moved.bytes, moved.outcome != TlsOutcome::done &&
                           moved.outcome != TlsOutcome::wants_read &&
                           moved.outcome != TlsOutcome::wants_write};
}

void UpstreamSocket::close(TlsGoodbye goodbye) {
  close_tls(std::move(ssl_), goodbye);
  fd_.reset();
}

}  // namespace streamgate
