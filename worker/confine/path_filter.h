// Refuses to open files outside a list (Landlock, Linux 5.13 and later). Descriptors that are open
// stay usable.
//
// By system call: Debian 12 has no library for it, and older headers lack parts of it.
#pragma once

#include <string>
#include <vector>

#include "common/result.h"

namespace streamgate {

struct PathRule {
  enum class Access {
    read,    // open for reading, and list directories
    write,   // open an existing file for reading or writing
    append,  // the same, and make files
  };
  std::string path;  // a file, or a directory with everything below it
  Access access;
};

enum class Paths { confined, not_supported };

// For the rest of this process, which has no_new_privs. Rules whose path does not exist have no
// effect. Where the kernel can, it also refuses to listen on a TCP port, to signal processes that
// are not confined, and to connect to their abstract Unix sockets. not_supported: the kernel has no
// Landlock, or it is not active; nothing has changed.
Result<Paths> confine_paths(const std::vector<PathRule>& rules);

}  // namespace streamgate
