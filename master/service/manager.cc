#include "master/service/manager.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "common/unique_fd.h"

namespace streamgate {
namespace {

constexpr int kFirstSocket = 3;  // sd_listen_fds(3)
constexpr int64_t kMaxSockets = 1024;

std::string take(const char* name) {
  const char* value = std::getenv(name);
  std::string out = value ? value : "";
  ::unsetenv(name);
  return out;
}

int64_t take_number(const char* name) {
  const std::string text = take(name);
  int64_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

}  // namespace

ServiceManager ServiceManager::from_environment() {
  ServiceManager out;
  out.notify_socket_ = take("NOTIFY_SOCKET");
  const int64_t watchdog_us = take_number("WATCHDOG_USEC");
  const int64_t watchdog_pid = take_number("WATCHDOG_PID");
  // Half of the time, as sd_watchdog_enabled(3) recommends.
  if (watchdog_us > 0 && (watchdog_pid == 0 || watchdog_pid == ::getpid())) {
    out.watchdog_ms_ = watchdog_us / 1000 / 2;
  }
  const int64_t count = take_number("LISTEN_FDS");
  const int64_t owner = take_number("LISTEN_PID");
  ::unsetenv("LISTEN_FDNAMES");
  if (owner != ::getpid() || count < 1 || count > kMaxSockets) return out;
  for (int fd = kFirstSocket; fd < kFirstSocket + count; ++fd) {
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    out.sockets_.push_back(fd);
  }
  return out;
}

void ServiceManager::notify(const std::string& lines) const {
  sockaddr_un address{};
  if (notify_socket_.empty() || notify_socket_.size() >= sizeof address.sun_path) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, notify_socket_.data(), notify_socket_.size());
  if (notify_socket_[0] == '@') address.sun_path[0] = '\0';  // abstract: not a file
  const auto length =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + notify_socket_.size());
  const UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return;
  [[maybe_unused]] const ssize_t sent =
      ::sendto(socket.get(), lines.data(), lines.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&address), length);
}

}  // namespace streamgate
