// What systemd, or another service manager of its protocol, has handed to this process and wants to
// hear from it: readiness, a watchdog, and sockets bound in advance. Without one it does nothing.
// Runs in the master only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace streamgate {

class ServiceManager {
 public:
  // Takes NOTIFY_SOCKET, WATCHDOG_* and LISTEN_* out of the environment, so that no child believes
  // they are meant for it. The values for other processes (their *_PID differs) are dropped.
  static ServiceManager from_environment();

  // The one that an older program of this process was started by; its sockets are handed over by
  // themselves.
  ServiceManager(std::string notify_socket, std::optional<int64_t> watchdog_ms)
      : notify_socket_(std::move(notify_socket)), watchdog_ms_(watchdog_ms) {}
  ServiceManager() = default;

  // Sends `NAME=value` lines; never blocks, and a failure is nobody's business but the manager's.
  void notify(const std::string& lines) const;

  // Listening sockets from the manager. This process owns them now.
  const std::vector<int>& sockets() const { return sockets_; }
  const std::string& notify_socket() const { return notify_socket_; }
  // How often the manager wants to hear WATCHDOG=1; none: it does not.
  std::optional<int64_t> watchdog_ms() const { return watchdog_ms_; }

 private:
  std::string notify_socket_;  // a path, or `@` and an abstract name; empty: none
  std::vector<int> sockets_;
  std::optional<int64_t> watchdog_ms_;
};

}  // namespace streamgate
