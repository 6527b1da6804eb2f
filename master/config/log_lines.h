// The keys of the section `log` about lines: format, fields and levels by event.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "master/config/key.h"

namespace streamgate {

// `log.levels`: the lowest level that is logged, by event.
ConfigKey log_levels_key();

// `log.fields`: one of the fields of an access-log line.
Result<std::vector<AccessField>> parse_access_field(std::string_view text);
std::vector<std::string> print_access_fields(const std::vector<AccessField>& fields);

// Adds a problem if there is no field, and for each field that is listed twice.
void check_log_rules(const LogConfig& log, const ConfigLines& lines, ConfigProblems& problems);

}  // namespace streamgate
