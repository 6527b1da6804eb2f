// The program as `main` puts it together: its configuration, its command line, and the worker's two
// functions, which is all that the master knows of a worker.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/config.h"
#include "common/heritage.h"
#include "common/result.h"

namespace streamgate {

// What main hands in: the master knows the worker as these two functions.
struct Program {
  std::string config_file;                 // empty: built-in defaults
  std::optional<std::string> listen_addr;  // the environment's LISTEN_ADDR
  std::function<int(const Heritage&)> run_worker;
  std::function<Result<void>(const Config&)> check_worker_config;
  std::vector<std::string> arguments = {};  // the command line, for a program that takes over
  std::optional<int> state = std::nullopt;  // set: this program takes over; the Handover's file
};

// The environment variable that names the descriptor of `Program::state`.
constexpr const char* kStateVariable = "STREAMGATE_STATE_FD";

}  // namespace streamgate
