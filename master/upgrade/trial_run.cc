#include "master/upgrade/trial_run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/file.h"
#include "common/log.h"
#include "common/pipe_pair.h"
#include "common/process_title.h"
#include "common/version.h"
#include "master/config/listen.h"
#include "master/process/child_process.h"
#include "master/process/worker_process.h"
#include "master/service/worker_entry.h"
#include "master/upgrade/handover.h"
#include "master/upgrade/inheritance.h"
#include "master/upgrade/trial_verdict.h"

namespace streamgate {
namespace {

constexpr int kPollMs = 10;

TrialVerdict ready() { return {version(), {}, {}}; }
// The program is not at fault: a reload with the old program would fail with the same problems.
TrialVerdict wrong_config(std::vector<std::string> problems) {
  return {{}, "the configuration is wrong", std::move(problems)};
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

// Runs the check with which the reload after the takeover begins, in a child as the reload does.
// None if the check succeeds.
std::optional<TrialVerdict> check_config(const Program& program, const Generation& generation) {
  auto probe =
      Probe::start([&] { return check_as_worker(generation, program.check_worker_config); });
  if (!probe) return refusal(probe.error().detail);
  const int status = wait_for(probe->pid());
  const auto outcome = probe->outcome(status);
  if (outcome) return std::nullopt;
  // A check that finds a problem exits with failure. Any other end is a fault of the program.
  if (!Ending{status}.is_exit(EXIT_FAILURE)) return refusal(outcome.error().detail);
  return wrong_config({outcome.error().detail});
}

// Has no time limit: the master has one, and kills this process and its worker after it.
TrialVerdict try_worker(const Program& program, const Generation& generation) {
  auto scoreboard = Scoreboard::create(1);
  if (!scoreboard) return refusal(scoreboard.error().detail);
  scoreboard->take(generation.number);
  auto ends = make_pipe();
  if (!ends) return refusal(ends.error().detail);
  const UniqueFd lifeline = std::move(ends->read_end);
  UniqueFd our_end = std::move(ends->write_end);
  const auto run_worker = [&](const Heritage& heritage) {
    // A worker that hangs does not read its lifeline. Set after the change of user, because
    // setuid() clears it.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    return program.run_worker(heritage);
  };
  const auto worker = fork_child([&] {
    our_end.reset();
    return run_as_worker(generation, {*scoreboard, 0, lifeline.get()}, run_worker);
  });
  if (!worker) return refusal(worker.error().detail);
  while (true) {
    int status = 0;
    if (::waitpid(*worker, &status, WNOHANG) != 0) {
      const Ending ending{status};
      return refusal("its worker ended with " + ending.kind() + " " + ending.value());
    }
    if (scoreboard->column(0).slot.state.load() == WorkerState::ready) break;
    ::poll(nullptr, 0, kPollMs);
  }
  ::kill(*worker, SIGKILL);
  wait_for(*worker);
  return ready();
}

// `from_manager`: bound by the service manager; if there are any, they replace `listen`.
TrialVerdict try_config(const Program& program, const std::vector<SocketAddress>& from_manager) {
  LoadedConfig loaded = load_config(program.config_file, program.environment);
  if (!loaded.ok()) return wrong_config(loaded.problems);
  use_addresses_of_manager(from_manager, loaded.config);
  // The takeover opens the logs. The trial's own output goes to the master.
  loaded.config.log = {.level = LogLevel::warn, .access = "off", .error = "stderr"};
  if (const auto opened = log::open(loaded.config.log); !opened) {
    return refusal(opened.error().detail);
  }
  Listeners stand_ins;
  for (const SocketAddress& address : all_addresses(loaded.config)) {
    auto listener = Listener::stand_in(address);
    if (!listener) return refusal(listener.error().detail);
    stand_ins.push_back(std::make_shared<const Listener>(*std::move(listener)));
  }
  const auto generation = Generation::prepare(1, std::move(loaded.config), stand_ins);
  if (!generation) return wrong_config({generation.error().detail});
  stand_ins.clear();
  if (auto wrong = check_config(program, *generation)) return *std::move(wrong);
  return try_worker(program, *generation);
}

TrialVerdict try_all(const Program& program, int state) {
  const auto text = read_file(state, kMaxHandoverBytes);
  if (!text) return refusal(text.error().detail);
  const auto handover = parse_handover(*text);
  if (!handover) return refusal(handover.error().detail);
  if (handover->service.pid != ::getppid())
    return refusal("the state is not that of the parent process");
  std::vector<SocketAddress> from_manager;
  {
    // Closed again before a worker is forked.
    const auto inheritance = Inheritance::take(*handover);
    if (!inheritance) return refusal(inheritance.error().detail);
    from_manager = addresses_of(inheritance->from_manager);
  }
  return try_config(program, from_manager);
}

}  // namespace

int run_trial(const Program& program, const TrialOrder& order) {
  set_process_title("trial of a program");
  const UniqueFd state(order.state);
  const UniqueFd report(order.report);
  // Set again: execve() clears it for a file with capabilities.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::fcntl(state.get(), F_SETFD, FD_CLOEXEC);
  ::fcntl(report.get(), F_SETFD, FD_CLOEXEC);
  const std::string verdict = print_verdict(try_all(program, state.get()));
  const ssize_t written = ::write(report.get(), verdict.data(), verdict.size());
  return written == static_cast<ssize_t>(verdict.size()) ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace streamgate
