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
  std::string url;                                           // of an upstream, or a link to a proxy
  std::vector<std::pair<std::string, std::string>> headers;  // of the request
  bool is_json = false;
  std::chrono::seconds limit{10};  // for all steps
};

// `streamgate sign URL`.
struct SignLine {
  std::string url;  // of the upstream
  Milliseconds lifetime{std::chrono::hours(6)};
  bool is_prefix = false;  // for all URLs in the directory of `url`
  std::string client;      // an address or a block; empty: any client
  std::string key;         // its id; empty: the first one with a secret
};

// `streamgate -s purge URL`.
struct PurgeLine {
  std::string url;         // of an upstream, or a link to the proxy; empty: not given
  bool is_prefix = false;  // all URLs that begin with `url`
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
  SignLine sign;                              // of Action::sign
  PurgeLine purge = {};                       // of Action::purge
  std::string pid_file;                       // of Action::control; empty: the configuration's
  std::string config_file;                    // empty: built-in defaults; may be the installed one
  std::optional<int> exit_code;  // set: nothing else to do (--help, --version, a mistake)
};

// Writes help and version to stdout, mistakes to stderr.
CommandLine parse_command_line(int argc, const char* const* argv);

}  // namespace streamgate
