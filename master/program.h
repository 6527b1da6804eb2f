// The program as `main` puts it together: its configuration, its command line, and two functions of
// the worker. The master calls no other function of the worker.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/config.h"
#include "common/heritage.h"
#include "common/result.h"
#include "master/config/environment.h"

namespace streamgate {

struct Program {
  std::string config_file;  // empty: built-in defaults
  Environment environment;  // at the start; a reload uses it again
  std::function<int(const Heritage&)> run_worker;
  std::function<Result<void>(const Config&)> check_worker_config;
  std::vector<std::string> arguments = {};  // argv, for a program that takes over
  std::optional<int> state = std::nullopt;  // set: this program takes over; file of the Handover
};

// The environment variable that names the descriptor of `Program::state`.
constexpr const char* kStateVariable = "STREAMGATE_STATE_FD";

}  // namespace streamgate
