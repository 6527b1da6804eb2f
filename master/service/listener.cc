#include "master/service/listener.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "common/log.h"

namespace streamgate {
namespace {

// The kernel limits it to net.core.somaxconn.
constexpr int kBacklog = 4096;
// Every user who can reach the directory may connect, as to a TCP port. A reverse proxy usually
// runs as another user.
constexpr mode_t kUnixSocketMode = 0666;

Error failed(const SocketAddress& address, const std::string& what) {
  return {Reason::internal, "cannot listen on " + address.to_string() + ": " + what};
}

Error failed(const SocketAddress& address) { return failed(address, std::strerror(errno)); }

UniqueFd open_socket(const SocketAddress& address) {
  return UniqueFd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

// Removes a stale file: a Unix socket's file outlives a crash, and bind() fails while it exists.
Result<void> make_room(const SocketAddress& address) {
  const std::string path = address.path();
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return {};
    return failed(address);
  }
  if (!S_ISSOCK(info.st_mode)) return failed(address, "the file exists and is not a socket");
  const UniqueFd probe = open_socket(address);
  if (!probe.valid()) return failed(address);
  const int connected = ::connect(probe.get(), address.native(), address.length());
  if (connected == 0 || errno != ECONNREFUSED) {
    return failed(address, "another process listens on it");
  }
  if (::unlink(path.c_str()) != 0) return failed(address);
  return {};
}

std::optional<SocketAddress> address_of(int fd) {
  sockaddr_storage native{};
  socklen_t length = sizeof native;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&native), &length) != 0) return std::nullopt;
  return SocketAddress::from_native(reinterpret_cast<sockaddr*>(&native), length);
}

int option_of(int fd, int option) {
  int value = -1;
  socklen_t length = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

bool listens(int fd) {
  return option_of(fd, SO_TYPE) == SOCK_STREAM && option_of(fd, SO_ACCEPTCONN) == 1;
}

bool set_option(int fd, int level, int option) {
  const int on = 1;
  return ::setsockopt(fd, level, option, &on, sizeof on) == 0;
}

}  // namespace

Result<Listener> Listener::bind(const SocketAddress& address) {
  if (!address.is_ip()) {
    if (auto room = make_room(address); !room) return room.error();
  }
  Listener listener;
  listener.configured_ = address;
  listener.fd_ = open_socket(address);
  const int fd = listener.fd_.get();
  if (fd < 0) return failed(address);
  if (address.is_ip() && !set_option(fd, SOL_SOCKET, SO_REUSEADDR)) return failed(address);
  if (address.family() == AF_INET6 && !set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY)) {
    return failed(address);
  }
  if (::bind(fd, address.native(), address.length()) != 0) return failed(address);
  if (!address.is_ip()) {
    const std::string path = address.path();
    struct stat info {};
    if (::chmod(path.c_str(), kUnixSocketMode) != 0 || ::lstat(path.c_str(), &info) != 0) {
      return failed(address);
    }
    listener.device_ = info.st_dev;
    listener.inode_ = info.st_ino;
  }
  if (::listen(fd, kBacklog) != 0) return failed(address);
  const auto bound = address_of(fd);
  if (!bound) return failed(address);
  listener.bound_ = *bound;
  log::info("listener.bound", {{"address", listener.bound_.to_string()}});
  return listener;
}

Result<Listener> Listener::adopt(int fd) {
  Listener listener;
  listener.fd_.reset(fd);
  const auto bound = address_of(fd);
  if (!bound || !listens(fd) || ::fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) != 0) {
    return Error{Reason::internal, "descriptor " + std::to_string(fd) +
                                       " of LISTEN_FDS is not a listening stream socket"};
  }
  listener.configured_ = *bound;
  listener.bound_ = *bound;
  log::info("listener.inherited", {{"address", listener.bound_.to_string()}});
  return listener;
}

Result<Listener> Listener::resume(UniqueFd fd, const std::optional<SocketAddress>& configured,
                                  dev_t device, ino_t inode) {
  Listener listener;
  listener.fd_ = std::move(fd);
  const auto bound = address_of(listener.fd());
  if (!bound || !listens(listener.fd())) {
    return Error{Reason::internal, "descriptor " + std::to_string(listener.fd()) +
                                       " was handed over and is not a listening stream socket"};
  }
  listener.bound_ = *bound;
  listener.configured_ = configured.value_or(*bound);
  listener.device_ = device;
  listener.inode_ = inode;
  return listener;
}

Result<Listener> Listener::stand_in(const SocketAddress& address) {
  Listener listener;
  listener.configured_ = address;
  listener.bound_ = address;
  listener.fd_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  // A bare address family makes the kernel choose a name outside the file system: autobind,
  // unix(7).
  sockaddr_storage nameless{};
  nameless.ss_family = AF_UNIX;
  if (!listener.fd_.valid() ||
      ::bind(listener.fd(), reinterpret_cast<sockaddr*>(&nameless), sizeof nameless.ss_family) !=
          0 ||
      ::listen(listener.fd(), 1) != 0) {
    return failed(address);
  }
  return listener;
}

void Listener::remove_file() const {
  if (configured_.is_ip()) return;
  const std::string path = configured_.path();
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return;
  if (info.st_dev == device_ && info.st_ino == inode_) ::unlink(path.c_str());
}

std::vector<SocketAddress> addresses_of(const Listeners& listeners) {
  std::vector<SocketAddress> out;
  for (const auto& listener : listeners) out.push_back(listener->configured());
  return out;
}

Result<Listeners> bind_listeners(std::span<const SocketAddress> wanted, const Listeners& live) {
  Listeners unused = live;
  Listeners out(wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    const auto same = std::find_if(unused.begin(), unused.end(), [&](const auto& listener) {
      return listener->configured() == wanted[i];
    });
    if (same == unused.end()) continue;
    out[i] = *same;
    unused.erase(same);
  }
  Listeners fresh;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (out[i]) continue;
    const auto rival = std::find_if(live.begin(), live.end(), [&](const auto& listener) {
      return overlap(listener->bound(), wanted[i]);
    });
    auto bound = rival == live.end()
                     ? Listener::bind(wanted[i])
                     : failed(wanted[i], "it overlaps " + (*rival)->bound().to_string() +
                                             ", on which this service already listens");
    if (!bound) {
      for (const auto& listener : fresh) listener->remove_file();
      return bound.error();
    }
    out[i] = std::make_shared<const Listener>(*std::move(bound));
    fresh.push_back(out[i]);
  }
  return out;
}

}  // namespace streamgate
