// `security.keys` and `security.grant_secret`: the keys of tokens and links.
#pragma once

#include <functional>
#include <string_view>

#include "master/config/key.h"

namespace streamgate {

ConfigKey token_keys_key();
ConfigKey grant_secret_key();

// The rules between keys of `security`: `auth: token` needs a key, and keys with ES256 or EdDSA
// need grant_secret. `line_of` returns the line of a key in the file, 0 if it has none.
void check_token_rules(const SecurityConfig& security,
                       const std::function<int(std::string_view)>& line_of,
                       ConfigProblems& problems);

}  // namespace streamgate
