// The rules that concern several keys of a configuration, and the settings that cause a warning
// only.
#pragma once

#include "common/config.h"
#include "master/config/node.h"

namespace streamgate {

// Checks the rules about several keys.
void check_config_rules(const Config& config, const ConfigLines& lines, ConfigProblems& problems);

// Sets `client_address` to `peer`, with a warning, unless the file sets `trusted_proxies`: the
// default list has every host of the local network, and each could claim any address. For the same
// reason exchange ids are taken from proxies only then.
void ignore_untrusted_settings(Config& config, const ConfigLines& lines, ConfigProblems& warnings);
// Settings that work but should be written in another way.
ConfigProblems config_warnings(const Config& config, const ConfigLines& lines);

}  // namespace streamgate
