// The `upstream.hosts` key: settings for single upstream hosts, by pattern.
//
//   hosts: {"*.cdn.example": {user_agent: VLC/3.0, headers: {X-Key: a}, verify: false}}
#pragma once

#include <functional>
#include <string_view>

#include "common/config.h"
#include "master/config/key.h"

namespace streamgate {

// The row of `upstream.hosts` in the table of keys. It reports each problem with its line.
ConfigKey hosts_key();

// Adds a problem if a proxy resolves the names and security.allow is empty, and if `resolve:
// remote` has no proxy. `line_of` gives the line of a key, or 0.
void check_proxy_rules(const Config& config, const std::function<int(std::string_view)>& line_of,
                       ConfigProblems& problems);

}  // namespace streamgate
