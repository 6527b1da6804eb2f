// The command line as a value. The only module that uses CLI11; no exception leaves it.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/config.h"
#include "master/service/control.h"
#include "master/upgrade/trial_order.h"

namespace streamgate {

// The exit code for every mistake in the command line.
constexpr int kExitUsage = 2;

// The same for `streamgate explain`, whose other exit codes are verdicts (EX_USAGE).
constexpr int kExitExplainUsage = 64;

// `streamgate explain URL`.
struct ExplainLine {
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  bool is_json = false;
  std::chrono::seconds limit{10};
};

// `streamgate sign`.
struct SignOrder {
  std::string url;
  Milliseconds lifetime{std::chrono::hours(6)};
  bool is_prefix = false;
  std::string client;
  std::string key;
};

// `streamgate -s purge URL`.
struct PurgeOrderLine {
  std::string url;
  bool is_prefix = false;
};

struct CommandLine {
  enum class Action {
    serve,
    check,
    print_config,
    control,
    purge,
    healthcheck,
    foreground_worker,
    trial,
    explain,
    sign
  };
  Action action = Action::serve;
  ServiceOrder order = ServiceOrder::status;  // of Action::control
  OutputForm form = OutputForm::text;         // of the answer to that order
  TrialOrder trial{-1, -1};                   // of Action::trial
  ExplainLine explain = {};                   // of Action::explain
  SignOrder sign;                             // of Action::sign
  PurgeOrderLine purge = {};                  // of Action::purge
  std::string pid_file;                       // of Action::control; empty: the configuration's
  std::string config_file;                    // empty: built-in defaults
  std::optional<int> exit_code;  // set: nothing else to do (--help, --version, a mistake)
};

// Writes help and version to stdout, mistakes to stderr.
CommandLine parse_command_line(int argc, const char* const* argv);

}  // namespace streamgate
