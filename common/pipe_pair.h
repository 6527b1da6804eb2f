// A pipe as two descriptors that close themselves.
#pragma once

#include "common/result.h"
#include "common/unique_fd.h"

namespace streamgate {

struct PipePair {
  UniqueFd read_end;
  UniqueFd write_end;
};

// Both ends are close-on-exec, and have `flags` (O_NONBLOCK, or 0) as well.
Result<PipePair> make_pipe(int flags = 0);

}  // namespace streamgate
