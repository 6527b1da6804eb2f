// The files of the service beside its sockets: logs and the pid file. Runs in the master only.
#pragma once

#include <optional>
#include <string>

#include "common/config.h"
#include "common/result.h"
#include "master/account.h"

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
  void remove();

 private:
  std::string path_;
};

}  // namespace streamgate
