// The files of the service: logs, the pid file and the status file. Runs in the master only, except
// where a function says `in any process`.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/config.h"
#include "common/result.h"
#include "master/process/account.h"

namespace streamgate {

// Creates the log files, owned by the workers' user so that workers can reopen them. The error log
// becomes the log of this process.
Result<void> open_log_files(const LogConfig& config, const std::optional<Account>& account);

// The file that holds this process's id. Only remove() removes it: a destructor would run in
// workers as well.
class PidFile {
 public:
  PidFile() = default;
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;

  // Moves to `path` (empty: none). On failure the old file stays.
  Result<void> move_to(const std::string& path);
  // Takes over the file that the previous program of this process has written.
  void resume(const std::string& path) { path_ = path; }
  void remove();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The process id in the text of a pid file; none if there is no valid one. In any process.
std::optional<pid_t> pid_in(const std::string& text);

// The path of the status file that belongs to `pid_file`; empty if `pid_file` is empty. In any
// process.
std::string status_path(const std::string& pid_file);

// The missing directories that this configuration writes to, each with its key. This is no error: a
// service manager may create them just before the start. In any process.
std::vector<std::string> missing_directories(const Config& config);

// Replaces a file by a rename, so that no reader sees a part of the new one. `room`: bytes of the
// disk to reserve for the new file, where the file system can.
Result<void> replace_file(const std::string& path, const std::string& text, mode_t mode,
                          size_t room);

// For read_file() of a pid file, a status file or a file of /proc.
constexpr size_t kMaxSmallFileBytes = size_t{1024} * 1024;

// The start time of a process, in clock ticks since the boot. Together with the process id it
// identifies the process. execve() keeps it. 0 if there is no such process. In any process.
uint64_t start_ticks_of(pid_t pid);

// The status file (master/service/status_report.h) at status_path(). Only remove() removes it; call
// it before PidFile::remove(). If the pid file names another service by now, write() and remove()
// leave that service's file alone.
class StatusFile {
 public:
  StatusFile() = default;
  StatusFile(const StatusFile&) = delete;
  StatusFile& operator=(const StatusFile&) = delete;

  // Replaces the file of this pid file (empty: none). Removes the old one if the path has changed.
  // On a full disk it is written in place; a reader can then see a part of `text`, which ends with
  // a line break. On failure there is no file.
  Result<void> write(const std::string& pid_file, const std::string& text);
  void remove();

 private:
  std::string pid_file_;
};

}  // namespace streamgate
