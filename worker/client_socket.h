// What a client's bytes come in and go out by: its socket, with the kernel's refusals told in two
// words, "not now" and "never again".
//
// Level 2. A member of ClientGate; ClientStream writes to it. The descriptor is evhtp's, which
// closes it.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <span>

namespace streamgate {

class ClientSocket {
 public:
  // What one call did. No bytes and not gone: not now, wait until the socket is ready.
  struct Moved {
    size_t bytes = 0;
    bool gone = false;  // of a read: FIN or an error; of a write: an error
  };
  enum class More { no, follows };  // follows: may wait to leave in one packet with what comes next

  explicit ClientSocket(int fd) : fd_(fd) {}

  int fd() const { return fd_; }

  Moved read(std::span<char> into);
  // In one system call.
  Moved write(std::span<const iovec> parts, More more = More::no);
  // Moves at most `most` bytes from a pipe that holds as many. The process ignores SIGPIPE.
  Moved splice_from(int pipe_read_fd, size_t most);

  // How many bytes the socket will take now, slightly less than it says; its buffer has to be at
  // least a quarter free, else 0. (Above a third, the kernel calls it writable: waiting for that
  // never turns in circles.)
  size_t room() const;
  // Bytes that it has taken and the client has not acknowledged.
  size_t unacknowledged() const;

  // FIN: nothing more will be written.
  void shut_writing();
  // Closing will reset the connection instead of ending it.
  void reset_on_close();

 private:
  int fd_;
};

}  // namespace streamgate
