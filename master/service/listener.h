// One listening socket of the service: bound by the master, inherited by every worker, kept across
// reloads while its address stays in the configuration. Runs in the master only.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/result.h"
#include "common/socket_address.h"
#include "common/unique_fd.h"

namespace streamgate {

class Listener {
 public:
  // Binds and listens: non-blocking, close-on-exec, IPV6_V6ONLY, SO_REUSEADDR. Replaces a stale
  // Unix socket. A Unix socket in use, or a file that is not a socket, is an error.
  static Result<Listener> bind(const SocketAddress& address);

  // Takes over a listening stream socket that a service manager has bound; closes it on failure.
  // The manager owns the address and the file of a Unix socket.
  static Result<Listener> adopt(int fd);

  // Takes over a socket that the previous program has bound to `configured` (none: a service
  // manager has bound it), with its device() and inode(). Closes it on failure.
  static Result<Listener> resume(UniqueFd fd, const std::optional<SocketAddress>& configured,
                                 dev_t device, ino_t inode);

  // Reports `address` as its own but listens on an unnamed socket that nobody can connect to. For
  // the worker of a trial.
  static Result<Listener> stand_in(const SocketAddress& address);

  Listener(Listener&&) = default;
  Listener& operator=(Listener&&) = default;
  ~Listener() = default;  // closes; the file of a Unix socket stays, see remove_file

  int fd() const { return fd_.get(); }
  const SocketAddress& configured() const { return configured_; }
  const SocketAddress& bound() const { return bound_; }  // port 0 replaced by the kernel's choice

  // The file of a Unix socket that this service has bound; zeros for any other.
  dev_t device() const { return device_; }
  ino_t inode() const { return inode_; }

  // Removes the file of a Unix socket if it is still ours. The master calls it when it stops
  // listening; a destructor would run in workers as well.
  void remove_file() const;

 private:
  Listener() = default;

  UniqueFd fd_;
  SocketAddress configured_;
  SocketAddress bound_;
  dev_t device_ = 0;  // with inode_: the file of a Unix socket
  ino_t inode_ = 0;
};

// Shared by the generations that serve on it; closed with the last of them.
using Listeners = std::vector<std::shared_ptr<const Listener>>;

// Their configured addresses, in the same order.
std::vector<SocketAddress> addresses_of(const Listeners& listeners);

// A listener for each address in `wanted`: the one of `live` with the same address, otherwise a new
// one. On failure nothing new stays bound. The error of an overlap with `live` names both
// addresses.
Result<Listeners> bind_listeners(std::span<const SocketAddress> wanted, const Listeners& live);

}  // namespace streamgate
