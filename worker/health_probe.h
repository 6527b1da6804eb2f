// `streamgate healthcheck`: one GET /health to the service that runs with a configuration, for
// container runtimes. Blocks, in a process of its own.
#pragma once

#include <string>

#include "common/config.h"
#include "common/result.h"

namespace streamgate {

// Asks the first plain listener, or the first one with TLS, whose certificate is not verified. A
// wildcard address is asked on loopback. Returns the origin that answered 200, as
// `http://127.0.0.1:8080` or `unix:/path`. Fails after five seconds of silence.
Result<std::string> probe_health(const Config& config);

}  // namespace streamgate
