// A connected, non-blocking socket to an upstream, plain or with TLS. Only this class knows which.
// Owns the descriptor and the SSL.
//
// Made by Dialer, which completes the handshake; then a member of UpstreamConnection.
// worker/client/socket.h is its counterpart for clients.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "common/result.h"
#include "common/unique_fd.h"
#include "worker/loop/openssl.h"
#include "worker/loop/pipe.h"
#include "worker/upstream/tls_facts.h"

namespace streamgate {

class UpstreamSocket {
 public:
  // full: there may be more to read now. drained: there is no more now; wait until the socket is
  // readable. closed: the upstream ended the connection in order. truncated: it ended TLS without
  // close_notify. failed: the connection is broken.
  enum class ReadEnd { full, drained, closed, truncated, failed };
  struct ReadOutcome {
    size_t bytes;
    ReadEnd end;
  };
  // No bytes and not broken: wait until the socket is writable.
  struct Written {
    size_t bytes = 0;
    bool is_broken = false;
  };
  enum class Handshake { done, wants_read, wants_write, failed };

  UpstreamSocket() = default;  // not open
  explicit UpstreamSocket(UniqueFd fd) : fd_(std::move(fd)) {}
  UpstreamSocket(UpstreamSocket&&) noexcept = default;
  UpstreamSocket& operator=(UpstreamSocket&& other) noexcept;  // closes its old socket
  ~UpstreamSocket() { close(TlsGoodbye::abrupt); }

  int fd() const { return fd_.get(); }
  bool is_open() const { return fd_.valid(); }
  bool is_tls() const { return ssl_ != nullptr; }

  // From now on the socket is TLS. `ssl` is set up for the socket's descriptor
  // (worker/upstream/tls.h). Call shake_hands() until it is done; nothing else may be called
  // before.
  void start_tls(Ssl ssl) { ssl_ = std::move(ssl); }
  Handshake shake_hands();
  // Why shake_hands() failed: tls_failed. Call it at once.
  Error take_handshake_error() const;
  // Of TLS, after shake_hands() is done or has failed.
  TlsFacts facts() const;
  // The session to resume in a later connection; null for a plain socket. TLS 1.3 sends it after
  // the handshake, so ask after a response.
  TlsSession session() const;

  // Returns the number of bytes to request from read() if the receiver has room for `room` bytes,
  // and sets how far OpenSSL reads ahead.
  size_t prepare_read(size_t room);
  // Reads at most `most` bytes to the beginning of `space`. With TLS, continues to the end of the
  // record as far as `space` reaches: bytes that stay in OpenSSL make no event.
  ReadOutcome read(std::span<char> space, size_t most);
  // Moves at most `most` bytes into a pipe that is empty. Requires can_splice().
  ReadOutcome splice_into(Pipe& pipe, size_t most);
  bool can_splice() const { return !is_tls(); }
  // OpenSSL holds bytes for which the socket will not become readable.
  bool has_buffered() const;
  // More has arrived than was read: bytes, or for a plain socket its end. Makes a system call only
  // if the last read did not drain the socket.
  bool has_unread() const;
  // For a socket that expects no data: false if data, an end or an error has come. Processes the
  // messages of TLS itself (tickets, key updates), which do not count. One system call.
  bool is_quiet();

  Written write(std::string_view bytes);

  // Closes the descriptor; polite: after a close_notify. Does nothing if the socket is not open.
  void close(TlsGoodbye goodbye);

 private:
  ReadOutcome read_records(std::span<char> space, size_t most);

  UniqueFd fd_;
  Ssl ssl_;               // null: plain
  bool drained_ = false;  // the last read left nothing in the socket
};

}  // namespace streamgate
