// A running service, found by its pid file: signals it and reads its status. Runs in `streamgate
// -s`, and in a master that is about to write a pid file.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "common/result.h"
#include "common/unique_fd.h"
#include "master/service/status_report.h"

namespace streamgate {

// SIGUSR2 with this value (sigqueue) asks only for a new status file, without log lines.
constexpr int kWriteStatusOnly = 1;  // larger values: ReportKind

class RunningService;

// Why there is no RunningService.
struct NoService {
  // unknown: this user may not read the files of the service or see its process.
  enum class Kind { not_running, unknown };

  Kind kind;
  std::string detail;
};

// Refers to one process, also after another process has got its id or its pid file.
class RunningService {
 public:
  // The service in the pid file.
  static std::variant<RunningService, NoService> find(const std::string& pid_file);

  pid_t pid() const { return pid_; }

  // `value` is sent with the signal. An error if this user may not signal the service.
  Result<void> send(int signal_number, int value) const;
  // Calls `answer` every 20 ms until it returns an outcome, the service has ended, or `limit_ms`
  // have passed.
  std::optional<Outcome> await(int64_t limit_ms,
                               const std::function<std::optional<Outcome>()>& answer) const;
  // Waits at most `wait_ms` for the end of the process. Returns whether it has ended.
  bool has_left(int wait_ms) const;
  // The content of the status file; empty if there is none, if another service has written it, or
  // if it is being written.
  std::string status() const;
  // Whether the status file is from `time_us` (CLOCK_MONOTONIC) or later.
  bool has_written_since(int64_t time_us) const;
  const std::string& pid_file() const { return pid_file_; }

 private:
  RunningService(pid_t pid, UniqueFd process, std::string pid_file)
      : pid_(pid), process_(std::move(process)), pid_file_(std::move(pid_file)) {}

  pid_t pid_;
  UniqueFd process_;  // a pidfd: refers to the process, not to its id
  std::string pid_file_;
};

// Another running service that this pid file belongs to; none if there is none, or if it stops.
std::optional<pid_t> serving_master(const std::string& pid_file);

}  // namespace streamgate
