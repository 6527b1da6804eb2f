// `streamgate -s purge URL`: POST /purge to the admin listener of the service that runs with a
// configuration. Blocks, in a process of its own.
#pragma once

#include <cstdint>
#include <string>

#include "common/config.h"
#include "common/result.h"

namespace streamgate {

struct PurgeCommand {
  std::string url;  // of an upstream, or a link to the proxy
  bool is_prefix = false;
};

// Asks the first listener of admin.listen, with admin.token. Returns the number of answers that
// were dropped. Fails if there is no such listener, if it refuses, and after ten seconds of
// silence.
Result<uint64_t> purge_service(const Config& config, const PurgeCommand& command);

}  // namespace streamgate
