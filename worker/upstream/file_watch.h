// Notices that a file has changed: its inode, size or time of modification. At most one stat() a
// second, so a change is seen up to a second later.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>

namespace streamgate {

class FileWatch {
 public:
  explicit FileWatch(std::string path) : path_(std::move(path)) {}

  // True at the first call if the file exists, and then once for each change. `now_ms`:
  // CLOCK_MONOTONIC.
  bool has_changed(int64_t now_ms) { return now_ms >= next_check_ms_ && check(now_ms); }

  // The first bytes of the file; empty if it cannot be read. A FIFO under that name does not block.
  std::string read() const;

 private:
  bool check(int64_t now_ms);

  std::string path_;
  struct stat seen_ {};
  int64_t next_check_ms_ = 0;
};

}  // namespace streamgate
