// Reads a Config from a YAML file and prints it as YAML. The only module that uses yaml-cpp; no
// exception leaves it. Runs in the master, at the start and at each SIGHUP.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config.h"

namespace streamgate {

struct LoadedConfig {
  Config config;                      // valid only if there is no problem
  std::vector<std::string> problems;  // each `file:line: key: sentence`, in the order of the file
  std::vector<std::string> warnings;  // of the same form; they do not prevent a start

  bool ok() const { return problems.empty(); }
};

// `path` empty: the built-in defaults. `listen_addr` is the environment's LISTEN_ADDR, used if the
// file does not set `listen`.
LoadedConfig load_config(const std::string& path, const std::optional<std::string>& listen_addr);

// The same from a text. `name` is the file's name in the problems.
LoadedConfig parse_config(std::string_view text, std::string_view name,
                          const std::optional<std::string>& listen_addr);

// The whole configuration as YAML. Loading it gives an equal configuration.
std::string print_config(const Config& config);

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
