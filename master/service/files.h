// The files of the service beside its sockets: logs, the pid file and the status file. Runs in the
// master only, what is said otherwise excepted.
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

// Creates the log files with the workers' user as their owner, so that workers can reopen them, and
// makes the error log the log of this process.
Result<void> open_log_files(const LogConfig& config, const std::optional<Account>& account);

// The file that holds this process's id. Removed by remove() and not by a destructor, which would
// run in workers as well.
class PidFile {
 public:
  PidFile() = default;
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;

  // Moves to `path` (empty: none). On failure the old file stays.
  Result<void> move_to(const std::string& path);
  // Goes on with the file that an older program of this process has written.
  void resume(const std::string& path) { path_ = path; }
  void remove();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// What the text of a pid file says; none for what no process can be called. In any process.
std::optional<pid_t> pid_in(const std::string& text);

// Where the status of the service with this pid file stands.
std::string status_path(const std::string& pid_file);

// The directories that this configuration writes to and that are not there, each with its key. They
// may be made just before the start, as a service manager does. In any process.
std::vector<std::string> missing_directories(const Config& config);

// The whole of a small file; an error if it cannot be read. In any process.
Result<std::string> read_small_file(const std::string& path);

// When a process began, in clock ticks since the machine did: with the process id it names that
// process and never another. It stays the same over execve(). 0 if there is none. In any process.
uint64_t start_ticks_of(pid_t pid);

// The file that tells how the service with a pid file is (master/service/status_report.h), at
// status_path(). Like PidFile, it is removed by remove() alone, which comes before
// PidFile::remove(). Neither does anything to the file of another service that the pid file names
// by now.
class StatusFile {
 public:
  StatusFile() = default;
  StatusFile(const StatusFile&) = delete;
  StatusFile& operator=(const StatusFile&) = delete;

  // Replaces the file (empty: none), and removes the one before if it was elsewhere.
  Result<void> write(const std::string& pid_file, const std::string& text);
  void remove();

 private:
  std::string pid_file_;
};

}  // namespace streamgate
