// SIGHUP when another program file stands where this one was started from: the half of the
// Supervisor that replaces the program under the running service.
//
//   begin_upgrade -> (trial) -> judge_trial -> execute_upgrade | take_over -> begin_reload
//                        any failure: upgrade_refused; nothing has changed
//
// The new program's half, behind the bar, runs in the same process after execve(): its process id,
// children, descriptors and pending signals are those of the old one.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "common/log.h"
#include "common/memory_file.h"
#include "common/version.h"
#include "master/service/limits.h"
#include "master/supervisor.h"
#include "master/upgrade/inheritable.h"
#include "master/upgrade/inheritance.h"

namespace streamgate {
namespace {

// All signals wait while it lives. They are not lost: the program after execve() finds them
// pending.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, &before_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

std::vector<std::string> environment_with(std::string_view name, int value) {
  const std::string prefix = std::string(name) + "=";
  std::vector<std::string> out{prefix + std::to_string(value)};
  for (char** each = environ; *each != nullptr; ++each) {
    if (!std::string_view(*each).starts_with(prefix)) out.emplace_back(*each);
  }
  return out;
}

// Returns only if it has failed. Its errno tells why.
void execute(const Candidate& candidate, int state) {
  std::vector<std::string> arguments = candidate.arguments;
  std::vector<std::string> environment = environment_with(kStateVariable, state);
  const auto argv = exec_array(arguments);
  const auto envp = exec_array(environment);
  std::fflush(nullptr);
  ::execve(candidate.path.c_str(), argv.data(), envp.data());
}

}  // namespace

// ---- in the program that is replaced

bool Supervisor::begin_upgrade() {
  if (program_file_.path.empty() || !program_file_.identity) return false;
  const auto found = identify(program_file_.path);
  if (!found) {
    log::warn("upgrade.no_program", {{"reason", found.error().detail}});
    return false;
  }
  if (*found == *program_file_.identity) return false;
  log::info("upgrade.started", {{"program", program_file_.path}, {"version", version()}});
  if (const auto looked = look_at_program(program_file_.path); !looked) {
    upgrade_refused(refusal(looked.error().detail));
    return true;
  }
  auto trial = ProgramTrial::start({program_file_.path, program_.arguments}, handover());
  if (!trial) {
    upgrade_refused(refusal(trial.error().detail));
    return true;
  }
  upgrade_ = Upgrade{*std::move(trial), *found, monotonic_ms() + kTrialLimitMs};
  state_changed_ = true;
  return true;
}

void Supervisor::judge_trial(int wait_status) {
  const Upgrade upgrade = *std::exchange(upgrade_, std::nullopt);
  const TrialVerdict verdict = upgrade.trial.verdict(wait_status);
  if (!verdict.is_ready()) return upgrade_refused(verdict);
  const auto found = identify(program_file_.path);
  if (!found || !(*found == upgrade.identity)) {
    reload_wanted_ = true;  // what has been tried is not what stands there now
    return;
  }
  execute_upgrade(verdict.version);
}

void Supervisor::end_late_trial() {
  if (!upgrade_ || monotonic_ms() < upgrade_->deadline_ms) return;
  const Upgrade late = *std::exchange(upgrade_, std::nullopt);
  late.trial.kill();
  upgrade_refused(late.trial.verdict_of_late());
}

void Supervisor::execute_upgrade(const std::string& to_version) {
  const Handover handed_over = handover();
  auto state = make_memory_file("streamgate-state", print_handover(handed_over));
  if (!state) return upgrade_refused(refusal(state.error().detail));
  log::info("upgrade.executing",
            {{"program", program_file_.path}, {"from", version()}, {"to", to_version}});
  std::vector<int> descriptors = descriptors_of(handed_over);
  descriptors.push_back(state->get());
  int error = 0;
  {
    const SignalsBlocked blocked;
    const Inheritable inheritable(std::move(descriptors));
    execute({program_file_.path, program_.arguments}, state->get());
    error = errno;
  }
  upgrade_refused(refusal(std::string("cannot be executed: ") + std::strerror(error)));
}

void Supervisor::abandon_upgrade(const std::string& reason) {
  const Upgrade abandoned = *std::exchange(upgrade_, std::nullopt);
  abandoned.trial.kill();
  reload_failed(reason, "");
}

void Supervisor::upgrade_refused(const TrialVerdict& verdict) {
  if (!verdict.problems.empty()) {
    for (const std::string& problem : verdict.problems) {
      log::error("config.problem", {{"problem", problem}});
    }
    return reload_failed("the configuration is wrong", first_of(verdict.problems));
  }
  log::error("upgrade.refused", {{"program", program_file_.path}, {"reason", verdict.reason}});
  reload_failed("the new program " + program_file_.path + " is refused: " + verdict.reason, "");
}

Handover Supervisor::handover() const {
  Handover out;
  out.service = {.pid = ::getpid(),
                 .program = program_file_.path,
                 .version = version(),
                 .pid_file = pid_file_.path(),
                 .notify_socket = manager_.notify_socket(),
                 .watchdog_ms = manager_.watchdog_ms(),
                 .started_ms = started_ms_,
                 .reload_started_us = reload_started_us_,
                 .reload_wanted = reload_wanted_,
                 .is_ready = first_generation_ready_,
                 .last_generation = last_generation_,
                 .lifeline_read = lifeline_read_.get(),
                 .lifeline_write = lifeline_write_.get()};
  out.reload = last_reload_;
  out.reopen = last_reopen_;
  hand_over_generation(out);
  hand_over_workers(out);
  return out;
}

void Supervisor::hand_over_generation(Handover& out) const {
  for (size_t i = 0; i < current_->listeners.size(); ++i) {
    const auto& listener = current_->listeners[i];
    const bool is_managed =
        std::find(from_manager_.begin(), from_manager_.end(), listener) != from_manager_.end();
    out.listeners.push_back(
        {listener->fd(), is_managed ? std::string() : listener->configured().to_string(),
         listener->device(), listener->inode(), is_managed, current_->config.listen[i].tls});
  }
  out.generation = {current_->number, static_cast<unsigned>(current_->places.size())};
  Config config = current_->config;
  if (!from_manager_.empty()) config.listen = default_config().listen;  // theirs may have no text
  out.settings = settings_of(config);
}

void Supervisor::hand_over_workers(Handover& out) const {
  out.boards.push_back({scoreboard_->file(), own_layout(scoreboard_->slot_count())});
  std::vector<const ForeignScoreboard*> foreign{nullptr};  // in the order of out.boards
  for (const WorkerProcess& worker : workers_) {
    const auto& [pid, slot, generation, place] = worker.identity();
    Handover::Worker record{pid, slot, generation, place, worker.standing(), 0, 0};
    if (const auto& home = worker.home()) {
      const auto known = std::find(foreign.begin(), foreign.end(), home->board.get());
      record.board = static_cast<unsigned>(known - foreign.begin());
      record.board_slot = home->slot_index;
      if (known == foreign.end()) {
        foreign.push_back(home->board.get());
        out.boards.push_back({home->board->file(), home->board->layout()});
      }
    }
    out.workers.push_back(record);
  }
}

// ---- in the program that replaces it

Result<void> Supervisor::take_over(UniqueFd state) {
  const auto text = read_memory_file(state.get(), kMostHandoverBytes);
  if (!text) {
    return Error{Reason::internal, std::string(kStateVariable) + ": " + text.error().detail};
  }
  state.reset();
  auto handover = parse_handover(*text);
  if (!handover) return handover.error();
  const Handover::Service& service = handover->service;
  if (service.pid != ::getpid()) return Error{Reason::internal, "the state is of another process"};
  auto inheritance = Inheritance::take(*handover);
  if (!inheritance) return inheritance.error();
  if (auto watching = watch_signals(); !watching) return watching;

  program_file_ = running_program_file();
  program_file_.path = service.program;
  manager_ = ServiceManager(service.notify_socket, service.watchdog_ms);
  pid_file_.resume(service.pid_file);
  lifeline_read_ = std::move(inheritance->lifeline_read);
  lifeline_write_ = std::move(inheritance->lifeline_write);
  from_manager_ = std::move(inheritance->from_manager);
  current_ = std::make_unique<Generation>(std::move(inheritance->generation));
  scoreboard_.emplace(std::move(inheritance->scoreboard));
  workers_ = std::move(inheritance->workers);
  last_reload_ = handover->reload;
  last_reopen_ = handover->reopen;
  reload_started_us_ = service.reload_started_us;
  started_ms_ = service.started_ms;
  last_generation_ = service.last_generation;
  reload_wanted_ = service.reload_wanted;
  first_generation_ready_ = service.is_ready;
  last_turn_ms_ = monotonic_ms();
  open_current_logs();
  log::info("upgrade.done", {{"from", service.version},
                             {"to", version()},
                             {"workers", workers_.size()},
                             {"addresses", current_->addresses()}});
  begin_reload();
  return {};
}

}  // namespace streamgate
