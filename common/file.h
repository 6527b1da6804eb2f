// Reads whole files.
#pragma once

#include <cstddef>
#include <string>

#include "common/result.h"

namespace streamgate {

// The content of a regular file of at most `max_bytes`. Any other file is refused, so that a FIFO
// under that name does not block the process. The error's detail is `<path>: <problem>`.
Result<std::string> read_file(const std::string& path, size_t max_bytes);

// The same for an open file, from its beginning; its offset is neither used nor changed. The
// error's detail is the problem alone.
Result<std::string> read_file(int fd, size_t max_bytes);

// The first bytes of an open file: `max_bytes` of them, or fewer if the file ends earlier.
Result<std::string> read_start(int fd, size_t max_bytes);

}  // namespace streamgate
