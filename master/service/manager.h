// systemd, or another service manager with its protocol: reports readiness, feeds its watchdog and
// takes the sockets that it has bound. Without a manager nothing happens. Runs in the master only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace streamgate {

class ServiceManager {
 public:
  // Takes NOTIFY_SOCKET, WATCHDOG_* and LISTEN_* out of the environment, so that no child uses
  // them. Values for another process (their *_PID differs) are dropped.
  static ServiceManager from_environment();

  // The manager that has started the previous program of this process. Its sockets come with the
  // Handover.
  ServiceManager(std::string notify_socket, std::optional<int64_t> watchdog_ms)
      : notify_socket_(std::move(notify_socket)), watchdog_ms_(watchdog_ms) {}
  ServiceManager() = default;

  // Sends `NAME=value` lines. Never blocks, and ignores failures: the manager has its own timeouts.
  void notify(const std::string& lines) const;

  // Listening sockets from the manager. This process owns them now.
  const std::vector<int>& sockets() const { return sockets_; }
  const std::string& notify_socket() const { return notify_socket_; }
  // The interval at which the manager gets WATCHDOG=1; none: it has no watchdog.
  std::optional<int64_t> watchdog_ms() const { return watchdog_ms_; }

 private:
  std::string notify_socket_;  // a path, or `@` and an abstract name; empty: none
  std::vector<int> sockets_;
  std::optional<int64_t> watchdog_ms_;
};

}  // namespace streamgate
