// main: puts the program together. The only file that includes both master/ and worker/.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

#include "common/heritage.h"
#include "master/command_line.h"
#include "master/config/loader.h"
#include "master/config/tls_files.h"
#include "master/foreground_worker.h"
#include "master/process/account.h"
#include "master/service/control.h"
#include "master/service/files.h"
#include "master/supervisor.h"
#include "master/upgrade/trial_run.h"
#include "worker/health_probe.h"
#include "worker/worker.h"

namespace streamgate {
namespace {

void complain(const std::string& problem) {
  std::fprintf(stderr, "streamgate: %s\n", problem.c_str());
}

// `--check`: every check that is possible without a start of the service.
int check(LoadedConfig loaded) {
  if (loaded.ok()) {
    if (const auto account = find_account(loaded.config.user); !account) {
      loaded.problems.push_back(account.error().detail);
    }
    const auto read = read_tls_files(loaded.config);
    const auto checked = read ? check_worker_config(loaded.config) : read;
    if (!checked) loaded.problems.push_back(checked.error().detail);
  }
  for (const std::string& problem : loaded.problems) complain(problem);
  if (!loaded.ok()) return EXIT_FAILURE;
  for (const std::string& warning : loaded.warnings) complain("warning: " + warning);
  // Not a problem: a service manager may create them just before the start.
  for (const std::string& missing : missing_directories(loaded.config)) {
    complain("note: " + missing);
  }
  std::puts("the configuration is valid");
  return EXIT_SUCCESS;
}

int print_effective_config(const LoadedConfig& loaded) {
  for (const std::string& problem : loaded.problems) complain(problem);
  if (!loaded.ok()) return EXIT_FAILURE;
  for (const std::string& warning : loaded.warnings) complain("warning: " + warning);
  std::fputs(print_config(loaded).c_str(), stdout);
  return EXIT_SUCCESS;
}

int check_health(const LoadedConfig& loaded) {
  for (const std::string& problem : loaded.problems) complain(problem);
  if (!loaded.ok()) return EXIT_FAILURE;
  ::signal(SIGPIPE, SIG_IGN);
  const auto origin = probe_health(loaded.config);
  if (!origin) {
    complain(origin.error().detail);
    return EXIT_FAILURE;
  }
  std::printf("%s serves\n", origin->c_str());
  return EXIT_SUCCESS;
}

// Set by the previous program of this process. Removed, so that workers do not inherit it.
std::optional<int> take_state() {
  const char* value = std::getenv(kStateVariable);
  if (value == nullptr || *value == '\0') return std::nullopt;
  const int state = std::atoi(value);
  ::unsetenv(kStateVariable);
  return state;
}

int run(int argc, char** argv) {
  const CommandLine line = parse_command_line(argc, argv);
  if (line.exit_code) return *line.exit_code;
  const std::optional<int> state = take_state();
  const Environment environment = environment_of_process();
  switch (line.action) {
    case CommandLine::Action::check:
      return check(load_config(line.config_file, environment));
    case CommandLine::Action::print_config:
      return print_effective_config(load_config(line.config_file, environment));
    case CommandLine::Action::control:
      return control_service(line.order, load_config(line.config_file, environment));
    case CommandLine::Action::healthcheck:
      return check_health(load_config(line.config_file, environment));
    case CommandLine::Action::serve:
    case CommandLine::Action::foreground_worker:
    case CommandLine::Action::trial:
      break;
  }
  Program program{line.config_file,    environment,         run_worker,
                  check_worker_config, {argv, argv + argc}, state};
  if (line.action == CommandLine::Action::trial) return run_trial(program, line.trial);
  if (line.action == CommandLine::Action::foreground_worker) return run_foreground_worker(program);
  Supervisor supervisor(std::move(program));
  return supervisor.run();
}

}  // namespace
}  // namespace streamgate

int main(int argc, char** argv) { return streamgate::run(argc, argv); }
