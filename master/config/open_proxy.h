// Finds out whether a configuration makes the service an open proxy.
#pragma once

#include <optional>

#include "common/config.h"
#include "common/socket_address.h"

namespace streamgate {

// The first address of `listen` by which strangers may fetch any public URL: it is neither loopback
// nor private (private_ranges()) nor a Unix socket, and none of security.auth, security.allow and
// security.clients.allow is set. A wildcard address counts, because it includes the public
// addresses of the machine.
std::optional<SocketAddress> open_proxy_address(const Config& config);

}  // namespace streamgate
