// The `listen` key: a list of addresses. An address with a certificate for TLS, or with the PROXY
// protocol, is a map.
//
//   listen: [0.0.0.0:80, {address: 0.0.0.0:443, tls: {certificate: /x.pem, key: /x.key}},
//            {address: 0.0.0.0:81, proxy_protocol: true}]
#pragma once

#include <vector>

#include "master/config/key.h"

namespace streamgate {

// The row of `listen` in the table of keys. It reads and prints the paths of certificate and key,
// not the files.
ConfigKey listen_key();

// Adds a problem if there is no address, and one for each pair of addresses that overlap.
void check_listen_rules(const std::vector<ListenConfig>& listen, const ConfigLines& lines,
                        ConfigProblems& problems);

// The entries for sockets that the service manager has bound at `addresses`; they replace
// `configured`. An address that is in both lists keeps its certificate and its PROXY protocol.
std::vector<ListenConfig> listen_at(const std::vector<SocketAddress>& addresses,
                                    const std::vector<ListenConfig>& configured);

// Applies listen_at() to the configuration. An address of admin.listen stays with the admin
// listener; if the service manager has bound no other address, `listen` stays as it is.
void use_addresses_of_manager(const std::vector<SocketAddress>& addresses, Config& config);

// Every address on which the service listens: those of `listen`, then those of admin.listen.
std::vector<SocketAddress> all_addresses(const Config& config);

}  // namespace streamgate
