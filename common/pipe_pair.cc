#include "common/pipe_pair.h"

#include <fcntl.h>
#include <unistd.h>

#include "common/system_error.h"

namespace streamgate {

Result<PipePair> make_pipe(int flags) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | flags) != 0) return system_error("pipe");
  return PipePair{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

}  // namespace streamgate
