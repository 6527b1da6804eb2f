// The program file that the master runs, and the file that is at its path now. Runs in the master
// only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/result.h"

namespace streamgate {

// Identifies one version of a file by its inode, size and time of change.
struct FileIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;
  int64_t size = 0;
  int64_t modified_ns = 0;

  bool operator==(const FileIdentity&) const = default;
};

Result<FileIdentity> identify(const std::string& path);

// Whether a shared library that this process uses has been replaced or removed since it was loaded,
// as a security update does. False if /proc does not show it.
bool has_replaced_library();

// An error if the file is not an ELF file. Scripts are refused, even if the kernel would run them.
Result<void> check_is_program(const std::string& path);

struct ProgramFile {
  std::string path;                      // real and absolute; empty: unknown
  std::optional<FileIdentity> identity;  // of the file that runs, not of the one at `path` now
};

// The program file of this process. The path is the one it was started from: not argv[0], which may
// be relative to another directory, and without the ` (deleted)` that the kernel appends after a
// replacement.
ProgramFile running_program_file();

}  // namespace streamgate
