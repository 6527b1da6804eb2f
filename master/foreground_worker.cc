#include "master/foreground_worker.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "common/log.h"
#include "common/scoreboard.h"
#include "common/unique_fd.h"
#include "master/config/loader.h"
#include "master/process/account.h"
#include "master/process/child_process.h"
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
  const auto slot = scoreboard->take();
  int ends[2];
  if (!slot || ::pipe2(ends, O_CLOEXEC) != 0) {
    return refuse(std::string("pipe: ") + std::strerror(errno));
  }
  // This process holds the write end, so the worker never reads EOF.
  const UniqueFd lifeline(ends[0]);
  const UniqueFd held(ends[1]);
  return run_as_worker(generation, {*scoreboard, *slot, lifeline.get()}, program.run_worker);
}

}  // namespace

int run_foreground_worker(const Program& program) {
  // The worker unblocks them when its handlers are in place; an early signal must not end it
  // before.
  const sigset_t signals = master_signals();
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  LoadedConfig loaded = load_config(program.config_file, program.listen_addr);
  for (const std::string& problem : loaded.problems) {
    log::error("config.problem", {{"problem", problem}});
  }
  if (!loaded.ok()) return refuse("the configuration is wrong");
  loaded.config.workers = 1;
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
