// Refuses the system calls that a worker never makes (seccomp), so that a fault in a parser cannot
// start a program, read another process, or reach rarely used parts of the kernel.
//
// A list of refused calls, not of allowed ones: a new libc may make a call that nobody listed, and
// viewers must not notice. A refused call fails with EPERM; the first of each kind is logged as
// `worker.call_refused`.
#pragma once

#include "common/result.h"

namespace streamgate {

// For the rest of this process, which has no_new_privs. Fails if the kernel has no seccomp.
Result<void> refuse_calls();

}  // namespace streamgate
