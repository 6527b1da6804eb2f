// Confines a worker: to the system calls that it may need (call_filter) and to the files that it
// opens after its start (path_filter). Keys and certificates are loaded before that, and
// descriptors that are open stay usable.
#pragma once

#include <string>
#include <vector>

#include "common/config.h"
#include "common/result.h"
#include "worker/confine/path_filter.h"

namespace streamgate {

// The files of a worker with this configuration, and `authorities`: files and directories of CAs.
// A file that may be replaced by another one of its name is listed with its directory.
std::vector<PathRule> worker_paths(const Config& config,
                                   const std::vector<std::string>& authorities);

// As `security.confine` says: `off` does nothing, `auto` does what the kernel is able to do, and
// nothing under a sanitizer; with `on` it fails if the kernel lacks a part. Call it once, when
// everything is loaded. The process has no_new_privs.
Result<void> confine_worker(const Config& config, const std::vector<std::string>& authorities);

}  // namespace streamgate
