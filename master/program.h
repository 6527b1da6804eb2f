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
  // The file with the Handover of the program that ran in this process before. None: there was
  // none.
  std::optional<int> handover_fd = std::nullopt;
};

// The environment variable with the number of `Program::handover_fd`.
constexpr const char* kStateVariable = "STREAMGATE_STATE_FD";

}  // namespace streamgate
