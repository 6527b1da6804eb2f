#include "master/command_line.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "common/version.h"

namespace streamgate {

CommandLine parse_command_line(int argc, const char* const* argv) {
  CommandLine out;
  try {
    CLI::App app{"Streamgate: a streaming proxy for media players", "streamgate"};
    app.footer(
        "Signals: HUP reloads, QUIT stops when the last stream has ended, TERM stops within\n"
        "drain.stop_timeout, USR1 reopens the logs, USR2 logs the live state.");
    app.add_option("-c,--config", out.config_file,
                   "The YAML file; without it, built-in defaults and $LISTEN_ADDR")
        ->type_name("FILE");
    bool check = false;
    bool print = false;
    auto* check_flag = app.add_flag("--check", check, "Report every problem of the configuration");
    app.add_flag("--print-config", print, "Print the configuration in effect, as YAML")
        ->excludes(check_flag);
    app.set_version_flag("--version", std::string("streamgate ") + version());
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      out.exit_code = app.exit(error);  // prints; 0 for --help and --version
    }
    if (check) out.action = CommandLine::Action::check;
    if (print) out.action = CommandLine::Action::print_config;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "streamgate: %s\n", error.what());
    out.exit_code = EXIT_FAILURE;
  }
  return out;
}

}  // namespace streamgate
