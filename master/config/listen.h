// The `listen` key: addresses, each alone or as a map with a certificate for TLS.
//
//   listen: [0.0.0.0:80, {address: 0.0.0.0:443, tls: {certificate: /x.pem, key: /x.key}}]
#pragma once

#include <vector>

#include "master/config/key.h"

namespace streamgate {

// Its row of the table. Only the paths of certificate and key are read and printed.
ConfigKey listen_key();

// At least one address, none that overlaps another. `line`: where the key stands.
void check_listen_rules(const std::vector<ListenConfig>& listen, int line,
                        ConfigProblems& problems);

// The entries for sockets that the service manager has bound at `addresses`: they stand where
// `configured` did, and one at the same address keeps its certificate.
std::vector<ListenConfig> listen_at(const std::vector<SocketAddress>& addresses,
                                    const std::vector<ListenConfig>& configured);

}  // namespace streamgate
