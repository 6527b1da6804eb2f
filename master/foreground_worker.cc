#include "master/foreground_worker.h"

#include <signal.h>

#include <cstdlib>
#include <string>
#include <utility>

#include "common/log.h"
#include "common/pipe_pair.h"
#include "common/scoreboard.h"
#include "master/config/loader.h"
#include "master/process/account.h"
#include "master/process/child_process.h"
#include "master/process/own_process.h"
#include "master/service/files.h"
#include "master/service/generation.h"
#include "master/service/worker_entry.h"

namespace streamgate {
namespace {

int refuse(const std::string& reason) {
  log::error("master.start_failed", {{"reason", reason}});
  return EXIT_FAILURE;
}

int run_with(const Program& program, const Generation& generation) {
  auto scoreboard = Scoreboard::create(1);
  if (!scoreboard) return refuse(scoreboard.error().detail);
  const auto slot = scoreboard->take(generation.number);
  if (!slot) return refuse("the scoreboard has no slot");
  // The write end stays open in this process, so the worker never sees its master leave.
  const auto lifeline = make_pipe();
  if (!lifeline) return refuse(lifeline.error().detail);
  return run_as_worker(generation, {*scoreboard, *slot, lifeline->read_end.get()},
                       program.run_worker);
}

}  // namespace

int run_foreground_worker(const Program& program) {
  // A shell's background job ignores INT. The kernel discards an ignored signal instead of keeping
  // it pending.
  restore_default_handlers();
  open_standard_descriptors();
  raise_descriptor_limit();
  // Blocked signals stay pending until the worker has installed its handlers and unblocks them.
  const sigset_t signals = master_signals();
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  LoadedConfig loaded = load_config(program.config_file, program.environment);
  for (const std::string& problem : loaded.problems) {
    log::error("config.problem", {{"problem", problem}});
  }
  for (const std::string& warning : loaded.warnings) {
    log::warn("config.warning", {{"warning", warning}});
  }
  if (!loaded.ok()) return refuse("the configuration is wrong");
  loaded.config.workers = 1;
  // A debugger's tools may start programs, and the files of Unix sockets are removed at the end.
  loaded.config.security.confine = SecurityConfig::Confine::off;
  const auto account = find_account(loaded.config.user);
  if (!account) return refuse(account.error().detail);
  if (const auto opened = open_log_files(loaded.config.log, *account); !opened) {
    return refuse(opened.error().detail);
  }
  const auto generation = Generation::prepare(1, std::move(loaded.config), {});
  if (!generation) return refuse(generation.error().detail);
  const int status = run_with(program, *generation);
  generation->remove_files_not_in({});
  return status;
}

}  // namespace streamgate
