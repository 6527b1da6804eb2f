// `streamgate healthcheck`: one GET /health to the service that runs with a configuration, for
// container runtimes. Blocks, in a process of its own.
#pragma once

#include "common/config.h"
#include "common/result.h"

namespace streamgate {

// Asks the first plain listener, or the first one with TLS, whose certificate is not verified. A
// wildcard address is asked on loopback. Fails if no 200 arrives within five seconds of silence.
Result<void> probe_health(const Config& config);

}  // namespace streamgate
