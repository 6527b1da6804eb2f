// A service as another process sees it, by its pid file: whether it runs, its signals and its
// status. Used by `streamgate -s`, and by a master that is about to write a pid file of its own.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "common/result.h"
#include "common/unique_fd.h"
#include "master/service/status_report.h"

namespace streamgate {

// The signal's value (sigqueue) that makes a SIGUSR2 a request to write the status file, and only
// that.
constexpr int kWriteStatusOnly = 1;

// Found, it stands for one process, whoever has its id or its pid file later.
class RunningService {
 public:
  // The service that the pid file names; an error if it does not run.
  static Result<RunningService> find(const std::string& pid_file);

  pid_t pid() const { return pid_; }

  // An error if that is not allowed.
  Result<void> send(int signal_number, int value) const;
  // Looks again and again until `answer` has something, the service has left, or `limit_ms` are
  // over.
  std::optional<Outcome> await(int64_t limit_ms,
                               const std::function<std::optional<Outcome>()>& answer) const;
  // Whether its process has ended, at the latest after `wait_ms`.
  bool has_left(int wait_ms) const;
  // The status file if this service has written it, else empty.
  std::string status() const;

 private:
  RunningService(pid_t pid, UniqueFd process, std::string pid_file)
      : pid_(pid), process_(std::move(process)), pid_file_(std::move(pid_file)) {}

  pid_t pid_;
  UniqueFd process_;  // keeps the id from meaning another process
  std::string pid_file_;
};

// The other running service, if there is one, that this pid file belongs to. One that is stopping
// has given it up.
std::optional<pid_t> serving_master(const std::string& pid_file);

}  // namespace streamgate
