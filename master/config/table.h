// The table of configuration keys: for each one how its value is read, judged and printed. The
// loader, `--print-config` and the test of the manual all walk this one table.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/config.h"
#include "master/config/key.h"
#include "master/config/node.h"

namespace streamgate {

// Every key, those of one section side by side.
const std::vector<ConfigKey>& config_keys();

const ConfigKey* find_config_key(std::string_view path);
bool is_config_section(std::string_view path);

// The known key or section that a misspelt one most likely means; empty if none is near.
std::string nearest_config_key(std::string_view path);

// Where each key that the file sets stands.
using ConfigLines = std::map<std::string, int, std::less<>>;

// The rules that concern several keys at once.
void check_config_rules(const Config& config, const ConfigLines& lines, ConfigProblems& problems);

}  // namespace streamgate
