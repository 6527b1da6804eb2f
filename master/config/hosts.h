// The `upstream.hosts` key: settings for single upstream hosts, by pattern.
//
//   hosts: {"*.cdn.example": {user_agent: VLC/3.0, headers: {X-Key: a}, verify: false}}
#pragma once

#include <string>
#include <vector>

#include "common/config.h"
#include "master/config/key.h"

namespace streamgate {

// The row of `upstream.hosts` in the table of keys. It reports each problem with its line.
ConfigKey hosts_key();

// The same for a table of hosts elsewhere: `path` is its key, for problems. Such a table has no
// ca_file, because a worker loads those of upstream.hosts only.
std::vector<UpstreamHost> read_hosts(const ConfigNode& node, const std::string& path,
                                     ConfigProblems& problems);
std::string print_hosts(const std::vector<UpstreamHost>& rows);

// Adds a problem if a proxy resolves the names and security.allow is empty, and if `resolve:
// remote` has no proxy.
void check_proxy_rules(const Config& config, const ConfigLines& lines, ConfigProblems& problems);

}  // namespace streamgate
