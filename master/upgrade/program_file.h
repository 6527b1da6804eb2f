// The program file that the master runs, and what stands at its path by now. In the master only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/result.h"

namespace streamgate {

// Tells one version of a file from the next, as `make` does and a little more.
struct FileIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;
  int64_t size = 0;
  int64_t modified_ns = 0;

  bool operator==(const FileIdentity&) const = default;
};

Result<FileIdentity> identify(const std::string& path);

// Whether that may be a program: scripts and texts are not, even if the kernel would run them.
Result<void> look_at_program(const std::string& path);

struct ProgramFile {
  std::string path;                      // real and absolute; empty: could not be told
  std::optional<FileIdentity> identity;  // of the file that runs, whatever stands at `path` now
};

// What this process runs. Its path is where it was started from: not argv[0], which may be relative
// to another directory, and not `... (deleted)`, which it is after a replacement.
ProgramFile running_program_file();

}  // namespace streamgate
