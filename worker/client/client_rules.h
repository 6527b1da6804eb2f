// security.clients: which clients are served, by address. Pure.
#pragma once

#include "common/config.h"
#include "common/socket_address.h"

namespace streamgate {

// A client of a Unix socket has no address: the permissions of the socket decide about it.
bool is_served(const SocketAddress& client, const ClientRules& rules);

}  // namespace streamgate
