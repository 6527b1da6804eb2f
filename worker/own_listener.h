// Connects to a listener of the service that runs with a configuration. Blocks, in a process of its
// own.
#pragma once

#include "common/result.h"
#include "common/socket_address.h"
#include "common/unique_fd.h"

namespace streamgate {

// The address at which this machine reaches a listener: loopback in place of a wildcard.
SocketAddress on_loopback(const SocketAddress& address);

// Reading and writing fail after `silence_seconds` of silence.
Result<UniqueFd> connect_to_listener(const SocketAddress& address, long silence_seconds);

}  // namespace streamgate
