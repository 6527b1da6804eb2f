// From a YAML file to a Config, and back to YAML. The only module that knows yaml-cpp; no exception
// leaves it. Runs in the master, at start and at each SIGHUP.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config.h"

namespace streamgate {

struct LoadedConfig {
  Config config;                      // to be used only if there is no problem
  std::vector<std::string> problems;  // each `file:line: key: sentence`, in the file's order

  bool ok() const { return problems.empty(); }
};

// `path` empty: the built-in defaults. `listen_addr` is the environment's LISTEN_ADDR; it counts
// where no file sets `listen`.
LoadedConfig load_config(const std::string& path, const std::optional<std::string>& listen_addr);

// The same from a text; `name` stands for the file in the problems.
LoadedConfig parse_config(std::string_view text, std::string_view name,
                          const std::optional<std::string>& listen_addr);

// The whole configuration as YAML that loads back to an equal one.
std::string print_config(const Config& config);

// One key of a configuration, for another version of this program.
struct ConfigSetting {
  std::string key;
  std::string value;        // YAML, on one line
  bool is_default = false;  // a version that does not know the key need not mind

  bool operator==(const ConfigSetting&) const = default;
};

std::vector<ConfigSetting> settings_of(const Config& config);
// The configuration that they came from. An unknown key that is not at its default is a problem;
// `name` stands for the file.
LoadedConfig config_from(const std::vector<ConfigSetting>& settings, std::string_view name);

}  // namespace streamgate
