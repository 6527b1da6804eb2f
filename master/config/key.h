// One configuration key: reads, checks and prints its value. Pure.
#pragma once

#include <functional>
#include <string>

#include "common/config.h"
#include "master/config/node.h"

namespace streamgate {

struct ConfigKey {
  std::string path;  // `upstream.tls.verify`
  // Sets the value in the configuration, or adds a problem and leaves the default.
  std::function<void(const ConfigNode&, Config&, ConfigProblems&)> set;
  std::function<std::string(const Config&)> print;  // the value as YAML, on one line
  bool is_list = false;          // its environment variable has commas between the items
  bool may_hold_secret = false;  // a value from the environment is not printed
  // The value for people, without the secrets in it; null: print(). What print() returns goes to
  // the next program of an upgrade.
  std::function<std::string(const Config&)> show = {};
};

}  // namespace streamgate
