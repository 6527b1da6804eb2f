// The section `admin`: the listener for operators.
//
//   admin: {listen: 127.0.0.1:9090, token: ..., hosts: [metrics.example]}
#pragma once

#include <vector>

#include "common/config.h"
#include "master/config/key.h"

namespace streamgate {

// The rows of the section in the table of keys. `--print-config` prints a token that is in the
// file.
std::vector<ConfigKey> admin_keys();

// Adds a problem for each address of admin.listen that overlaps another one, and if there is no
// token, for each that is neither loopback nor a Unix socket.
void check_admin_rules(const Config& config, const ConfigLines& lines, ConfigProblems& problems);

}  // namespace streamgate
