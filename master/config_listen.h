// The `listen` key: addresses, each alone or as a map with a certificate for TLS.
//
//   listen: [0.0.0.0:80, {address: 0.0.0.0:443, tls: {certificate: /x.pem, key: /x.key}}]
#pragma once

#include <vector>

#include "master/config_table.h"

namespace streamgate {

// Its row of the table. Only the paths of certificate and key are read and printed.
ConfigKey listen_key();

// At least one address, none that overlaps another. `line`: where the key stands.
void check_listen_rules(const std::vector<ListenConfig>& listen, int line,
                        ConfigProblems& problems);

std::vector<SocketAddress> addresses_of(const std::vector<ListenConfig>& listen);

// `listen` for sockets that a service manager has bound: their addresses, each with the certificate
// that `configured` has for the same one.
std::vector<ListenConfig> listen_on(const std::vector<SocketAddress>& addresses,
                                    const std::vector<ListenConfig>& configured);

}  // namespace streamgate
