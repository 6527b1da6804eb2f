// The `upstream.hosts` key: settings for single upstream hosts, by pattern.
//
//   hosts: {"*.cdn.example": {user_agent: VLC/3.0, headers: {X-Key: a}, verify: false}}
#pragma once

#include <functional>
#include <string_view>

#include "common/config.h"
#include "master/config/key.h"

namespace streamgate {

// The row of `upstream.hosts` in the table of keys. It names each problem with its line.
ConfigKey hosts_key();

// Adds a problem if names are left to a proxy although security.allow is empty, or to no proxy.
// `line_of` gives the line of a key, or 0.
void check_proxy_rules(const Config& config, const std::function<int(std::string_view)>& line_of,
                       ConfigProblems& problems);

}  // namespace streamgate
