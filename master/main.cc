// main: puts the program together. The only file that includes both master/ and worker/.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/log_form.h"
#include "common/process_title.h"
#include "master/command_line.h"
#include "master/config/loader.h"
#include "master/config/tls_files.h"
#include "master/foreground_worker.h"
#include "master/process/account.h"
#include "master/process/acting_as.h"
#include "master/service/access_check.h"
#include "master/service/control.h"
#include "master/service/files.h"
#include "master/service/running_service.h"
#include "master/supervisor.h"
#include "master/upgrade/trial_run.h"
#include "worker/explain/explain_command.h"
#include "worker/health_probe.h"
#include "worker/links/token_signer.h"
#include "worker/purge_command.h"
#include "worker/worker.h"

namespace streamgate {
namespace {

void complain(const std::string& problem) {
  const std::string line = "streamgate: " + problem + "\n";
  std::fputs(is_journal(fileno(stderr)) ? journal_line(line).c_str() : line.c_str(), stderr);
}

// Prints the problems of the configuration. False if there are any.
bool is_valid(const LoadedConfig& loaded) {
  for (const std::string& problem : loaded.problems) complain(problem);
  return loaded.ok();
}

// Checks the files as the users who will read them: keys as this user, everything else as the
// workers' user.
void check_files(LoadedConfig& loaded, const std::optional<Account>& account) {
  std::vector<std::string> problems = access_problems(loaded.config, account);
  loaded.problems.insert(loaded.problems.end(), problems.begin(), problems.end());
  if (!problems.empty()) return;
  if (const auto read = read_tls_files(loaded.config); !read) {
    loaded.problems.push_back(read.error().detail);
    return;
  }
  const ActingAs acting(account);
  const auto checked = check_worker_config(loaded.config);
  if (!checked) loaded.problems.push_back(checked.error().detail);
}

// `--check`: every check that is possible without starting the service.
int check(LoadedConfig loaded) {
  if (loaded.ok()) {
    const auto account = find_account(loaded.config.user);
    if (!account) loaded.problems.push_back(account.error().detail);
    check_files(loaded, account ? *account : std::nullopt);
  }
  if (!is_valid(loaded)) return EXIT_FAILURE;
  for (const std::string& warning : loaded.warnings) complain("warning: " + warning);
  // Not a problem: a service manager may create them just before the start.
  for (const std::string& missing : missing_directories(loaded.config)) {
    complain("note: " + missing);
  }
  std::puts("the configuration is valid");
  return EXIT_SUCCESS;
}

// The file is read even with --pid-file, because `stop` and `quit` need the limits of `drain`.
// Problems in it do not matter.
int control(const CommandLine& line, const Environment& environment) {
  LoadedConfig loaded = load_config(line.config_file, environment);
  if (!line.pid_file.empty()) loaded.config.pid_file = line.pid_file;
  return control_service(line.order, line.form, loaded);
}

// `-s purge`. The admin listener carries it out, so it also works without a pid file.
int purge(const CommandLine& line, const LoadedConfig& loaded) {
  if (!is_valid(loaded)) return kExitOrderFailed;
  const std::string& pid_file = line.pid_file.empty() ? loaded.config.pid_file : line.pid_file;
  if (!pid_file.empty()) {
    const auto found = RunningService::find(pid_file);
    if (const auto* const none = std::get_if<NoService>(&found)) {
      complain(none->detail);
      return exit_code_of(*none);
    }
  }
  const auto purged = purge_service(loaded.config, {line.purge.url, line.purge.is_prefix});
  if (!purged) {
    complain(purged.error().detail);
    return kExitOrderFailed;
  }
  std::printf("purged %llu\n", static_cast<unsigned long long>(*purged));
  return EXIT_SUCCESS;
}

int print_effective_config(const LoadedConfig& loaded) {
  if (!is_valid(loaded)) return EXIT_FAILURE;
  for (const std::string& warning : loaded.warnings) complain("warning: " + warning);
  std::fputs(print_config(loaded).c_str(), stdout);
  return EXIT_SUCCESS;
}

int check_health(const LoadedConfig& loaded) {
  if (!is_valid(loaded)) return EXIT_FAILURE;
  ::signal(SIGPIPE, SIG_IGN);
  const auto origin = probe_health(loaded.config);
  if (!origin) {
    complain(origin.error().detail);
    return EXIT_FAILURE;
  }
  std::printf("%s serves\n", origin->c_str());
  return EXIT_SUCCESS;
}

// `streamgate explain`. Drops the rights of root first, because it parses the bytes of any
// upstream.
int explain(const ExplainLine& line, const LoadedConfig& loaded) {
  if (!is_valid(loaded)) return kExitExplainUsage;
  const auto account = find_account(loaded.config.user);
  Result<void> changed = account ? Result<void>() : account.error();
  if (account && *account) changed = become(**account);
  if (changed) changed = give_up_new_privileges();
  if (!changed) {
    complain(changed.error().detail);
    return kExitExplainUsage;
  }
  return explain_command(loaded.config, {line.url, line.headers, line.is_json, line.limit});
}

int sign(const SignLine& line, LoadedConfig loaded) {
  if (loaded.ok()) {
    if (const auto read = read_tls_files(loaded.config); !read) {
      loaded.problems.push_back(read.error().detail);
    }
  }
  if (!is_valid(loaded)) return EXIT_FAILURE;
  NewToken token;
  token.url = line.url;
  token.expires = std::time(nullptr) + line.lifetime.count() / 1000;
  if (line.is_prefix) token.reach = NewToken::Reach::directory;
  token.client = line.client;
  token.key_id = line.key;
  const auto link = sign_link(loaded.config, token);
  if (!link) {
    complain(link.error().detail);
    return EXIT_FAILURE;
  }
  std::puts(link->c_str());
  return EXIT_SUCCESS;
}

// The variable is set by the previous program of this process. It is removed, so that workers do
// not inherit it.
std::optional<int> take_handover_fd() {
  const char* value = std::getenv(kStateVariable);
  if (value == nullptr || *value == '\0') return std::nullopt;
  const int fd = std::atoi(value);
  ::unsetenv(kStateVariable);
  return fd;
}

int run(int argc, char** argv) {
  take_title_space(argc, argv);
  const CommandLine line = parse_command_line(argc, argv);
  if (line.exit_code) return *line.exit_code;
  const std::optional<int> handover_fd = take_handover_fd();
  const Environment environment = environment_of_process();
  switch (line.action) {
    case CommandLine::Action::check:
      return check(load_config(line.config_file, environment));
    case CommandLine::Action::print_config:
      return print_effective_config(load_config(line.config_file, environment));
    case CommandLine::Action::control:
      return control(line, environment);
    case CommandLine::Action::purge:
      return purge(line, load_config(line.config_file, environment));
    case CommandLine::Action::healthcheck:
      return check_health(load_config(line.config_file, environment));
    case CommandLine::Action::explain:
      return explain(line.explain, load_config(line.config_file, environment));
    case CommandLine::Action::sign:
      return sign(line.sign, load_config(line.config_file, environment));
    case CommandLine::Action::serve:
    case CommandLine::Action::foreground_worker:
    case CommandLine::Action::trial:
      break;
  }
  Program program{.config_file = line.config_file,
                  .environment = environment,
                  .run_worker = run_worker,
                  .check_worker_config = check_worker_config,
                  .arguments = {argv, argv + argc},
                  .handover_fd = handover_fd};
  set_process_name("streamgate");
  set_process_title("master");
  if (line.action == CommandLine::Action::trial) return run_trial(program, line.trial);
  if (line.action == CommandLine::Action::foreground_worker) return run_foreground_worker(program);
  Supervisor supervisor(std::move(program));
  return supervisor.run();
}

}  // namespace
}  // namespace streamgate

int main(int argc, char** argv) { return streamgate::run(argc, argv); }
