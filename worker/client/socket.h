// A client's socket, plain or with TLS. Its users do not know which: both report "wait" and "gone"
// in the same way.
//
// A member of ClientGate; ClientStream writes to it. The descriptor belongs to evhtp, which closes
// it. worker/upstream/socket.h is its counterpart for upstreams.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <span>

#include "worker/loop/openssl.h"

namespace streamgate {

class ClientSocket {
 public:
  // The outcome of one call. No bytes and not gone: wait until the socket is ready.
  struct Moved {
    size_t bytes = 0;
    bool gone = false;         // read: the client has closed, or an error; write: an error
    bool wants_write = false;  // read: TLS must write before it can read on
  };
  // follows: the bytes may wait to share a packet with the next ones.
  enum class More { no, follows };
  enum class Handshake { done, wants_read, wants_write, plain_http, failed };

  // Unsent bytes that the kernel queues for a TCP client. Bytes in flight do not count, so the
  // bound does not limit the rate of a long link; it bounds the memory of a client that stops
  // reading. Bulk over loopback costs as much CPU time as without a bound (measured).
  static constexpr size_t kMaxUnsentBytes = size_t{640} * 1024;

  // Call it for each listening socket. Sets kMaxUnsentBytes for its clients.
  static void prepare_listener(int fd);

  // `ssl` is null for a plain client, else ready for the handshake.
  ClientSocket(int fd, Ssl ssl);
  ~ClientSocket();
  ClientSocket(const ClientSocket&) = delete;
  ClientSocket& operator=(const ClientSocket&) = delete;

  int fd() const { return fd_; }
  bool is_tls() const { return ssl_ != nullptr; }

  // Call it until it is done; nothing else may be called before. plain_http: the client sent HTTP
  // to a TLS port; from then on the socket is plain, and the request is lost.
  Handshake shake_hands();

  Moved read(std::span<char> into);
  // On the plain socket below TLS, without waiting. peek() leaves the bytes in the socket.
  Moved peek(std::span<char> into) const;
  Moved read_plain(std::span<char> into);
  // Whether bytes have arrived that are not read yet.
  bool has_input() const;
  // Plain: one system call. TLS: small parts share a record. Bytes that are not taken must be
  // offered again, before anything else.
  Moved write(std::span<const iovec> parts, More more = More::no);
  // Moves at most `most` bytes from a pipe that holds at least as many. Not for TLS. The process
  // must ignore SIGPIPE.
  Moved splice_from(int pipe_read_fd, size_t most);
  // The same from a file, which has at least `most` bytes from `offset` on.
  Moved send_file(int fd, uint64_t offset, size_t most);

  // How many bytes the socket takes now: slightly less than the kernel reports, and 0 if less than
  // a quarter of its buffer is free or half of the unsent bytes are queued. epoll reports the
  // socket writable only when a third of the buffer is free and less than half of the unsent bytes
  // are queued, so a wake-up always finds room.
  size_t room();
  // The kernel has cut the send buffer, which it does only when it is short of memory.
  bool was_cut();
  // Bytes that the socket has taken and the client has not acknowledged.
  size_t unacknowledged() const;

  // Ends our sending side in order: close_notify and FIN. False: wait until the socket is writable.
  bool shut_writing();
  // From now on closing resets the connection.
  void reset_on_close();
  // Sends close_notify if there is room for it; before an idle connection is closed.
  void say_goodbye();

 private:
  Moved write_records(std::span<const iovec> parts);
  size_t unsent_of(size_t queued) const;

  int fd_;
  Ssl ssl_;
  size_t largest_capacity_;  // of the send buffer, as seen so far
};

}  // namespace streamgate
