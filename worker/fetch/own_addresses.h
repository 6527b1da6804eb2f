// The addresses at which the listeners of this service can be reached, for the target guard.
#pragma once

#include <span>
#include <vector>

#include "common/socket_address.h"

namespace streamgate {

// `listeners` with a wildcard replaced by the addresses of all interfaces. Unix sockets are left
// out.
std::vector<SocketAddress> reachable_addresses(std::span<const SocketAddress> listeners);

}  // namespace streamgate
