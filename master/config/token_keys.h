// `security.keys` and `security.grant_secret`: the keys of tokens and links.
#pragma once

#include "master/config/key.h"

namespace streamgate {

ConfigKey token_keys_key();
ConfigKey grant_secret_key();

// The rules between keys of `security`: `auth: token` needs a key, and keys with ES256 or EdDSA
// need grant_secret.
void check_token_rules(const SecurityConfig& security, const ConfigLines& lines,
                       ConfigProblems& problems);

}  // namespace streamgate
