// Reads a Config from a YAML file and prints it as YAML. The only module that uses yaml-cpp; no
// exception leaves it. Runs in the master, at the start and at each SIGHUP.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/config.h"
#include "master/config/environment.h"

namespace streamgate {

// Where the value of a key comes from.
struct ValueOrigin {
  std::string place;  // `streamgate.yaml:12`, `STREAMGATE_WORKERS`
  // YAML to print instead of the value, which holds a secret from the environment; empty: none.
  std::string shown_as = {};
};

struct LoadedConfig {
  Config config;  // valid only if there is no problem
  // Each `file:line: key: sentence`, in the order of the file, then `VARIABLE: key: sentence`.
  std::vector<std::string> problems;
  std::vector<std::string> warnings;  // of the same form; they do not prevent a start
  std::map<std::string, ValueOrigin, std::less<>> origins;  // a key without one has its default

  bool ok() const { return problems.empty(); }
};

// `path` empty: the built-in defaults. A STREAMGATE_ variable wins over the file; LISTEN_ADDR is
// used if neither the file nor STREAMGATE_LISTEN sets `listen`.
LoadedConfig load_config(const std::string& path, const Environment& environment);

// The same from a text. `name` is the file's name in the problems.
LoadedConfig parse_config(std::string_view text, std::string_view name,
                          const Environment& environment);

// The whole configuration as YAML. Loading it gives an equal configuration.
std::string print_config(const Config& config);

// The same with a comment above each key, which names the origin of the value. Secrets from the
// environment are replaced by their ${NAME}: loading it needs the same environment.
std::string print_config(const LoadedConfig& loaded);

// One key and its value, for another version of this program.
struct ConfigSetting {
  std::string key;
  std::string value;        // YAML, on one line
  bool is_default = false;  // then a version that does not know the key can ignore it

  bool operator==(const ConfigSetting&) const = default;
};

std::vector<ConfigSetting> settings_of(const Config& config);
// The configuration that settings_of() was called with. An unknown key that is not at its default
// is a problem. `name` is the file's name in the problems.
LoadedConfig config_from(const std::vector<ConfigSetting>& settings, std::string_view name);

}  // namespace streamgate
