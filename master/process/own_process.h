// Sets up the master's own process: descriptors, limits and signals. Runs in the master only.
#pragma once

#include <sys/signalfd.h>

#include "common/result.h"
#include "common/unique_fd.h"

namespace streamgate {

// Opens /dev/null for each closed one of stdin, stdout and stderr. Otherwise a file opened later
// would get its number, and receive the output of libraries.
void open_standard_descriptors();

// Raises the soft limit of descriptors to the hard one. A connection takes two descriptors; the
// usual soft limit of 1024 exists for select() only.
void raise_descriptor_limit();

// Blocks master_signals() and returns the signalfd that reads them. Ignores SIGPIPE.
Result<UniqueFd> watch_signals();

// The next signal of watch_signals(); its number is 0 if none came within `limit_ms`.
signalfd_siginfo wait_for_signal(const UniqueFd& signal_fd, int limit_ms);

}  // namespace streamgate
