// Configuration from the environment: a variable STREAMGATE_<SECTION>_<KEY> for each key, and
// ${NAME} in the values of the file. Runs in the master. Pure, except environment_of_process().
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "master/config/key.h"
#include "master/config/node.h"

namespace streamgate {

// Variables and their values.
using Environment = std::map<std::string, std::string, std::less<>>;

// A copy of the variables of this process.
Environment environment_of_process();

// The value of a variable; empty if it is not set. Container runtimes pass unset variables on as
// empty ones, so an empty variable counts as not set.
std::string_view value_of(const Environment& environment, std::string_view name);

// `upstream.tls.verify`: STREAMGATE_UPSTREAM_TLS_VERIFY.
std::string variable_of(std::string_view path);

// A warning for each STREAMGATE_ variable that is set and has no key.
ConfigProblems unknown_variables(const Environment& environment);

// The value of a key as a tree: a scalar or, for a list, the parts between commas.
ConfigNode node_of_variable(const ConfigKey& key, std::string_view value);

// A scalar as a list of the parts between its commas.
ConfigNode split_at_commas(const ConfigNode& whole);

// Replaces ${NAME} and ${NAME:-default} in the scalars of `node`, and `$${` by `${`. A variable
// that is neither set nor has a default is a problem. `path` is that of the key.
void expand_variables(ConfigNode& node, const std::string& path, const Environment& environment,
                      ConfigProblems& problems);

// Escapes `text`: expand_variables() turns the result into `text` again.
std::string without_variables(std::string_view text);

// Whether `node` has a value from the environment that must not be printed.
bool holds_secret(const ConfigKey& key, const ConfigNode& node);
// Replaces the values from the environment in `text` by ${NAME}.
void hide_values(const ConfigNode& node, std::string& text);
// `node` as YAML on one line, with ${NAME} for the values from the environment.
std::string print_as_written(const ConfigNode& node);

}  // namespace streamgate
