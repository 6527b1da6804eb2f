// What a client's bytes come in and go out by: its socket, or TLS on it. The refusals of both are
// told in two words, "not now" and "never again".
//
// A member of ClientGate; ClientStream writes to it. The descriptor is evhtp's, which
// closes it.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <span>

#include "worker/loop/openssl.h"

namespace streamgate {

class ClientSocket {
 public:
  // What one call did. No bytes and not gone: not now, wait until the socket is ready.
  struct Moved {
    size_t bytes = 0;
    bool gone = false;         // of a read: the client's end or an error; of a write: an error
    bool wants_write = false;  // of a read: TLS has something to say before it goes on
  };
  enum class More { no, follows };  // follows: may wait to leave in one packet with what comes next
  enum class Handshake { done, wants_read, wants_write, plain_http, failed };

  // For the clients that a listening socket will accept: room() holds whatever this system's
  // net.ipv4.tcp_notsent_lowat says.
  static void prepare_listener(int fd);

  // `ssl` is null for a plain client, else ready for the handshake.
  ClientSocket(int fd, Ssl ssl) : fd_(fd), ssl_(std::move(ssl)) {}
  ~ClientSocket();
  ClientSocket(const ClientSocket&) = delete;
  ClientSocket& operator=(const ClientSocket&) = delete;

  int fd() const { return fd_; }
  bool is_tls() const { return ssl_ != nullptr; }

  // To be called until it is done; nothing else may be before. plain_http: the client speaks HTTP
  // where TLS is due; the socket is a plain one from then on, and the request is lost.
  Handshake shake_hands();

  Moved read(std::span<char> into);
  // Plain: in one system call. TLS: small pieces share a record. What was not taken must be offered
  // again, in front of anything else.
  Moved write(std::span<const iovec> parts, More more = More::no);
  // Moves at most `most` bytes from a pipe that holds as many. Not for TLS. The process ignores
  // SIGPIPE.
  Moved splice_from(int pipe_read_fd, size_t most);

  // How many bytes the socket will take now, slightly less than it says; its buffer has to be at
  // least a quarter free, else 0. (Above a third, the kernel calls it writable: waiting for that
  // never turns in circles.)
  size_t room() const;
  // Bytes that it has taken and the client has not acknowledged.
  size_t unacknowledged() const;

  // The end of what we send, in order: close_notify and FIN. False: not now, wait until it is
  // writable.
  bool shut_writing();
  // Closing will reset the connection instead of ending it.
  void reset_on_close();
  // Before an idle connection is closed: close_notify, if there is room for it.
  void say_goodbye();

 private:
  Moved write_records(std::span<const iovec> parts);
  Moved outcome_of(int result, size_t bytes) const;

  int fd_;
  Ssl ssl_;
};

}  // namespace streamgate
