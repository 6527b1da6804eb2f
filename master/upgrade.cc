#include "master/upgrade.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/memory_file.h"
#include "common/version.h"
#include "master/config/loader.h"
#include "master/program.h"
#include "master/service/limits.h"
#include "master/upgrade/inheritable.h"

namespace streamgate {
namespace {

// Blocks all signals while it lives. None is lost: the program after execve() finds them pending.
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

// Returns only on failure, with errno set.
void execute_program(const Candidate& candidate, int state) {
  std::vector<std::string> arguments = candidate.arguments;
  std::vector<std::string> environment = environment_with(kStateVariable, state);
  const auto argv = exec_array(arguments);
  const auto envp = exec_array(environment);
  std::fflush(nullptr);
  ::execve(candidate.path.c_str(), argv.data(), envp.data());
}

void add_generation(Handover& out, const Generation& generation, const Listeners& from_manager) {
  bool is_listen_managed = false;
  for (size_t i = 0; i < generation.listeners.size(); ++i) {
    const auto& listener = generation.listeners[i];
    const bool is_managed =
        std::find(from_manager.begin(), from_manager.end(), listener) != from_manager.end();
    if (is_managed && generation.sockets[i].role == ListenRole::proxy) is_listen_managed = true;
    out.listeners.push_back(
        {listener->fd(), is_managed ? std::string() : listener->configured().to_string(),
         listener->device(), listener->inode(), is_managed, generation.sockets[i].tls});
  }
  out.generation = {generation.number, static_cast<unsigned>(generation.places.size())};
  Config config = generation.config;
  // An address that the service manager has bound may have no text form.
  if (is_listen_managed) config.listen = default_config().listen;
  out.settings = settings_of(config);
}

void add_workers(Handover& out, const Workers& workers) {
  const Scoreboard& own = workers.scoreboard();
  out.boards.push_back({own.file(), own_layout(own.slot_count())});
  std::vector<const ForeignScoreboard*> foreign{nullptr};  // in the order of out.boards
  for (const WorkerProcess& worker : workers) {
    const auto& [pid, slot, generation, place] = worker.identity();
    Handover::Worker record{pid, slot, generation, place, worker.standing(), 0, 0, {}};
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

// After add_workers().
void add_cache(Handover& out, const CacheSeats& seats) {
  const auto& directory = seats.directory();
  if (directory == nullptr) return;
  const CacheDirectory::Files& files = directory->files();
  out.cache.push_back({files.directory.get(), files.bodies.get(), kCacheLayoutVersion});
  for (const UniqueFd& waker : files.wakers) out.cache_wakers.push_back({waker.get()});
  for (Handover::Worker& worker : out.workers) {
    if (const auto column = seats.column_of(static_cast<pid_t>(worker.pid))) {
      worker.cache_column = *column;
    }
  }
}

}  // namespace

std::optional<FileIdentity> Upgrade::find_replacement(const ProgramFile& running) {
  if (running.path.empty() || !running.identity) return std::nullopt;
  const auto found = identify(running.path);
  if (!found) {
    log::warn("upgrade.no_program", {{"reason", found.error().detail}});
    return std::nullopt;
  }
  if (*found == *running.identity && !has_replaced_library()) return std::nullopt;
  return *found;
}

Result<Upgrade> Upgrade::begin(Candidate candidate, const FileIdentity& identity,
                               const Handover& handover) {
  if (auto checked = check_is_program(candidate.path); !checked) return checked.error();
  auto trial = ProgramTrial::start(candidate, handover);
  if (!trial) return trial.error();
  return Upgrade(std::move(candidate), identity, *std::move(trial));
}

Upgrade::Upgrade(Candidate candidate, const FileIdentity& identity, ProgramTrial trial)
    : candidate_(std::move(candidate)),
      identity_(identity),
      trial_(std::move(trial)),
      deadline_ms_(monotonic_ms() + kTrialLimitMs) {}

bool Upgrade::on_child_exit(pid_t pid, int wait_status) {
  if (trial_.pid() != pid) return false;
  trial_status_ = wait_status;
  return true;
}

std::optional<TrialVerdict> Upgrade::verdict() const {
  if (trial_status_) return trial_.verdict(*trial_status_);
  if (monotonic_ms() < deadline_ms_) return std::nullopt;
  trial_.kill();
  return trial_.verdict_of_late();
}

bool Upgrade::is_file_unchanged() const {
  const auto found = identify(candidate_.path);
  return found && *found == identity_;
}

TrialVerdict Upgrade::execute(const Handover& handover, const std::string& to_version) const {
  auto state = make_memory_file("streamgate-state", print_handover(handover));
  if (!state) return refusal(state.error().detail);
  log::info("upgrade.executing",
            {{"program", candidate_.path}, {"from", version()}, {"to", to_version}});
  std::vector<int> descriptors = descriptors_of(handover);
  descriptors.push_back(state->get());
  int error = 0;
  {
    const SignalsBlocked blocked;
    const Inheritable inheritable(std::move(descriptors));
    execute_program(candidate_, state->get());
    error = errno;
  }
  return refusal(std::string("cannot be executed: ") + std::strerror(error));
}

Handover make_handover(Handover::Service service, const Generation& generation,
                       const Listeners& from_manager, const Workers& workers) {
  Handover out;
  out.service = std::move(service);
  out.service.lifeline_read = workers.lifeline().read_end.get();
  out.service.lifeline_write = workers.lifeline().write_end.get();
  add_generation(out, generation, from_manager);
  add_workers(out, workers);
  add_cache(out, workers.cache_seats());
  return out;
}

Result<Handover> receive_handover(UniqueFd state) {
  auto text = read_file(state.get(), kMaxHandoverBytes);
  if (!text) {
    return Error{Reason::internal, std::string(kStateVariable) + ": " + text.error().detail};
  }
  auto handover = parse_handover(*text);
  wipe(*text);
  if (!handover) return handover;
  if (handover->service.pid != ::getpid()) {
    return Error{Reason::internal, "the state belongs to another process"};
  }
  return handover;
}

}  // namespace streamgate
