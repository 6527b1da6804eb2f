// The table of configuration keys. The loader, `--print-config` and the test of the manual use this
// one table.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "master/config/key.h"

namespace streamgate {

// Every key; the keys of a section are adjacent.
const std::vector<ConfigKey>& config_keys();

const ConfigKey* find_config_key(std::string_view path);
bool is_config_section(std::string_view path);

// The known key or section that is most similar to a misspelt one; empty if none is similar.
std::string nearest_config_key(std::string_view path);

}  // namespace streamgate
