// One configuration key: how its value is read, checked and printed.
#pragma once

#include <functional>
#include <string>

#include "common/config.h"
#include "master/config/node.h"

namespace streamgate {

struct ConfigKey {
  std::string path;  // `upstream.tls.verify`
  // Puts the value into the configuration, or says what is wrong with it and leaves the default.
  std::function<void(const ConfigNode&, Config&, ConfigProblems&)> set;
  std::function<std::string(const Config&)> print;  // the value as YAML, on one line
};

}  // namespace streamgate
