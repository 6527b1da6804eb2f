#include "master/command_line.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "common/version.h"
#include "master/config/values.h"

namespace streamgate {
namespace {

const std::map<std::string, ServiceOrder> kOrders{
    {"reload", ServiceOrder::reload}, {"stop", ServiceOrder::stop},
    {"quit", ServiceOrder::quit},     {"reopen", ServiceOrder::reopen},
    {"status", ServiceOrder::status}, {"streams", ServiceOrder::streams}};

// Not a signal: the admin listener carries it out.
constexpr const char* kPurge = "purge";

std::vector<std::string> names_of_orders() {
  std::vector<std::string> out{kPurge};
  for (const auto& [name, order] : kOrders) out.push_back(name);
  return out;
}

void add_purge(CLI::App& app, CLI::Option& order, CommandLine& out) {
  app.add_option("url", out.purge.url,
                 "With -s purge: the URL of an upstream, or a link to the proxy")
      ->type_name("URL")
      ->needs(&order);
  app.add_flag("--prefix", out.purge.is_prefix,
               "With -s purge: drop the answers of all URLs that begin with the URL")
      ->needs(&order);
}

void take_purge(const std::string& order, CommandLine& out) {
  const bool is_purge = order == kPurge;
  if (is_purge) out.action = CommandLine::Action::purge;
  if (out.exit_code) return;
  const bool has_parts = !out.purge.url.empty() || out.purge.is_prefix;
  if (is_purge ? !out.purge.url.empty() : !has_parts) return;
  std::fputs(is_purge ? "streamgate: -s purge needs a URL\n"
                      : "streamgate: a URL and --prefix need -s purge\n",
             stderr);
  out.exit_code = kExitUsage;
}

void take_trial(const std::string& text, CommandLine& out) {
  out.action = CommandLine::Action::trial;
  if (std::sscanf(text.c_str(), "%d:%d", &out.trial.state, &out.trial.report) != 2) {
    throw std::runtime_error(std::string(kTrialOption) + ": " + text);
  }
}

// `Name: value`
void take_header(const std::string& text, CommandLine& out) {
  const size_t colon = text.find(':');
  if (colon == std::string::npos) throw CLI::ValidationError("--header", "no colon in " + text);
  const size_t value = std::min(text.find_first_not_of(' ', colon + 1), text.size());
  out.explain.headers.emplace_back(text.substr(0, colon), text.substr(value));
}

void add_config_option(CLI::App& app, CommandLine& out) {
  app.add_option("-c,--config", out.config_file,
                 "The YAML file; without it, built-in defaults and $LISTEN_ADDR. -s and the\n"
                 "subcommands then use /etc/streamgate/streamgate.yaml, if it can be read")
      ->type_name("FILE");
}

CLI::App* add_explain(CLI::App& app, CommandLine& out) {
  CLI::App* command = app.add_subcommand(
      "explain",
      "Fetch a URL as for a player, and say step by step what happens and what to do.\n"
      "Exit status: 0 it plays, 1 the upstream fails, 2 this service refuses it, 64 wrong usage");
  add_config_option(*command, out);
  command->add_option("url", out.explain.url, "The URL of an upstream, or a link to the proxy")
      ->required()
      ->type_name("URL");
  command->add_flag("--json", out.explain.is_json, "Print the report as JSON");
  command
      ->add_option_function<std::vector<std::string>>(
          "--header",
          [&out](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) take_header(text, out);
          },
          "A request header, as h_Name=value in a link; repeatable")
      ->type_name("NAME:VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command
      ->add_option_function<unsigned>(
          "--limit",
          [&out](unsigned seconds) { out.explain.limit = std::chrono::seconds(seconds); },
          "The time for all steps, in seconds (10)")
      ->type_name("SECONDS")
      ->check(CLI::Range(1, 300));
  return command;
}

void add_sign(CLI::App& app, std::string& lifetime, CommandLine& out) {
  CLI::App* sign =
      app.add_subcommand("sign", "Print a link with a token, for security.auth: token");
  add_config_option(*sign, out);
  sign->add_option("url", out.sign.url, "The upstream URL")->required();
  sign->add_option("--for", lifetime, "How long the link is valid; 6h unless it is given")
      ->type_name("DURATION");
  sign->add_option("--ip", out.sign.client, "The only client: an address or a block")
      ->type_name("ADDRESS");
  sign->add_flag("--prefix", out.sign.is_prefix, "For all URLs in the directory of the URL");
  sign->add_option("--key", out.sign.key, "The key; the first one with a secret unless it is given")
      ->type_name("ID");
  sign->callback([&out] { out.action = CommandLine::Action::sign; });
}

void take_lifetime(const std::string& text, CommandLine& out) {
  if (text.empty() || out.exit_code) return;
  const auto lifetime = parse_duration(text);
  if (lifetime && lifetime->count() > 0) {
    out.sign.lifetime = *lifetime;
    return;
  }
  std::fprintf(stderr, "streamgate: --for %s: write 30m, 6h or 7d\n", text.c_str());
  out.exit_code = kExitUsage;
}

// The options that parse_command_line() interprets after parsing.
struct Options {
  bool check = false;
  bool print = false;
  bool foreground = false;
  bool json = false;
  std::string order;
  std::string trial;
  std::string lifetime;
};

void add_signal(CLI::App& app, CLI::Option* check, Options& options, CommandLine& out) {
  CLI::Option* order =
      app.add_option("-s,--signal", options.order,
                     "Signal the running service, found by the pid_file of the configuration,\n"
                     "and wait for the outcome; a stop waits for drain.stop_timeout, a quit for\n"
                     "drain.timeout")
          ->type_name("ORDER")
          ->check(CLI::IsMember(names_of_orders()))
          ->excludes(check);
  app.add_flag("--json", options.json, "With -s status and -s streams: print JSON")->needs(order);
  app.add_option("--pid-file", out.pid_file,
                 "For -s: the service of this pid file, also if the configuration is broken")
      ->type_name("FILE")
      ->needs(order);
  add_purge(app, *order, out);
}

void add_options(CLI::App& app, Options& options, CommandLine& out) {
  app.footer(
      "Signals: HUP reloads and upgrades, QUIT stops when the last stream has ended, TERM stops "
      "within\n"
      "drain.stop_timeout, USR1 reopens the logs, USR2 logs the live state.");
  add_config_option(app, out);
  CLI::Option* check =
      app.add_flag("--check", options.check, "Report every problem of the configuration");
  app.add_flag("--print-config", options.print, "Print the configuration in effect, as YAML")
      ->excludes(check);
  add_signal(app, check, options, out);
  app.add_flag("--foreground-worker", options.foreground,
               "For debugging: run one worker in this process, without a master, until INT, TERM\n"
               "or QUIT")
      ->excludes(check);
  app.add_option(kTrialOption, options.trial)->group("");  // internal: not in the help
}

CLI::App* add_healthcheck(CLI::App& app, CommandLine& out) {
  CLI::App* command = app.add_subcommand(
      "healthcheck", "Request /health of the service; exit status 0 if it serves (for containers)");
  add_config_option(*command, out);
  return command;
}

void take_order(const Options& options, CommandLine& out) {
  const auto known = kOrders.find(options.order);
  if (known == kOrders.end()) return;
  out.action = CommandLine::Action::control;
  out.order = known->second;
  out.form = options.json ? OutputForm::json : OutputForm::text;
  const bool has_forms = out.order == ServiceOrder::status || out.order == ServiceOrder::streams;
  if (!options.json || has_forms) return;
  std::fputs("streamgate: --json needs -s status or -s streams\n", stderr);
  out.exit_code = kExitUsage;
}

void take_options(const Options& options, CommandLine& out) {
  take_lifetime(options.lifetime, out);
  take_purge(options.order, out);
  if (!options.trial.empty()) take_trial(options.trial, out);
  if (options.foreground) out.action = CommandLine::Action::foreground_worker;
  if (options.check) out.action = CommandLine::Action::check;
  take_order(options, out);
}

// Orders and subcommands are about the installed service, unless a file is named.
void take_installed_config(CommandLine& out) {
  constexpr const char* kInstalledConfig = "/etc/streamgate/streamgate.yaml";
  switch (out.action) {
    case CommandLine::Action::control:
    case CommandLine::Action::purge:
    case CommandLine::Action::healthcheck:
    case CommandLine::Action::explain:
    case CommandLine::Action::sign:
      break;
    default:
      return;
  }
  if (!out.config_file.empty() || !out.pid_file.empty()) return;
  // A service in a container may have no file and these.
  const bool has_own_address = std::getenv("LISTEN_ADDR") || std::getenv("STREAMGATE_LISTEN");
  if (out.action == CommandLine::Action::healthcheck && has_own_address) return;
  if (::access(kInstalledConfig, R_OK) == 0) out.config_file = kInstalledConfig;
}

}  // namespace

CommandLine parse_command_line(int argc, const char* const* argv) {
  CommandLine out;
  try {
    CLI::App app{"Streamgate: a streaming proxy for media players", "streamgate"};
    Options options;
    add_options(app, options, out);
    const CLI::App* healthcheck = add_healthcheck(app, out);
    const CLI::App* explain = add_explain(app, out);
    const bool is_explain =
        std::find(argv + 1, argv + argc, std::string_view("explain")) != argv + argc;
    add_sign(app, options.lifetime, out);
    app.set_version_flag("--version", std::string("streamgate ") + version());
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      // exit() prints. It returns 0 for --help and --version, and a number for each mistake.
      const int usage = is_explain ? kExitExplainUsage : kExitUsage;
      out.exit_code = app.exit(error) == EXIT_SUCCESS ? EXIT_SUCCESS : usage;
    }
    take_options(options, out);
    if (healthcheck->parsed()) out.action = CommandLine::Action::healthcheck;
    if (options.print) out.action = CommandLine::Action::print_config;
    if (explain->parsed()) out.action = CommandLine::Action::explain;
    take_installed_config(out);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "streamgate: %s\n", error.what());
    out.exit_code = EXIT_FAILURE;
  }
  return out;
}

}  // namespace streamgate
