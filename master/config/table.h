// The table of configuration keys. The loader, `--print-config` and the test of the manual use this
// one table.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/config.h"
#include "master/config/key.h"
#include "master/config/node.h"

namespace streamgate {

// Every key; the keys of a section are adjacent.
const std::vector<ConfigKey>& config_keys();

const ConfigKey* find_config_key(std::string_view path);
bool is_config_section(std::string_view path);

// The known key or section that is most similar to a misspelt one; empty if none is similar.
std::string nearest_config_key(std::string_view path);

// The line of each key that the file sets.
using ConfigLines = std::map<std::string, int, std::less<>>;

// Checks the rules about several keys.
void check_config_rules(const Config& config, const ConfigLines& lines, ConfigProblems& problems);

// Sets `client_address` to `peer`, with a warning, unless the file sets `trusted_proxies`: in the
// default list is every host of the local network, and each could claim any address.
void ignore_untrusted_settings(Config& config, const ConfigLines& lines, ConfigProblems& warnings);
// Settings that work but should be written in another way.
ConfigProblems config_warnings(const Config& config, const ConfigLines& lines);

}  // namespace streamgate
