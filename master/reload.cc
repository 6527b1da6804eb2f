#include "master/reload.h"

#include <signal.h>

#include <algorithm>
#include <utility>

#include "common/clock.h"
#include "master/service/files.h"
#include "master/service/limits.h"

namespace streamgate {

Result<Reload> Reload::begin(uint64_t number, Config config, Forker& forker) {
  auto outlined = Generation::outline(number, std::move(config));
  if (!outlined) return outlined.error();
  auto generation = std::make_unique<Generation>(*std::move(outlined));
  auto check = forker.start_check(*generation);
  if (!check) return check.error();
  return Reload(std::move(generation), *std::move(check));
}

Reload::Reload(std::unique_ptr<Generation> generation, Probe check)
    : generation_(std::move(generation)),
      check_(std::move(check)),
      deadline_ms_(monotonic_ms() + kProbeLimitMs) {}

bool Reload::on_child_exit(pid_t pid, int wait_status) {
  if (!check_ || check_->pid() != pid) return false;
  check_status_ = wait_status;
  return true;
}

void Reload::fail(std::string reason) {
  if (failure_.empty()) failure_ = std::move(reason);
}

Reload::Progress Reload::advance(Forker& forker, const Listeners& live, const Workers& workers) {
  if (check_ && check_status_) {
    auto outcome = check_->outcome(*check_status_);
    check_.reset();
    if (outcome) outcome = start_generation(forker, live);
    if (!outcome) fail(outcome.error().detail);
  }
  if (!failure_.empty()) return Progress::failed;
  if (!check_ && workers.ready(generation_->number) == generation_->places.size()) {
    return Progress::done;
  }
  if (monotonic_ms() < deadline_ms_) return Progress::running;
  fail(check_ ? "the check of the configuration takes too long"
              : "the new workers were not ready in time");
  return Progress::failed;
}

Result<void> Reload::start_generation(Forker& forker, const Listeners& live) {
  // Binds only after the check: if the reload fails, no client waits on an address without workers.
  if (auto bound = generation_->bind(live); !bound) return bound;
  auto opened = open_log_files(generation_->config.log, generation_->account);
  if (!opened) return opened;
  deadline_ms_ = monotonic_ms() + kReadyLimitMs;
  for (unsigned i = 0; i < generation_->places.size(); ++i) {
    if (auto started = forker.start_worker(*generation_, i); !started) return started;
    generation_->places[i].taken = true;
  }
  return {};
}

void Reload::undo(Workers& workers, const Listeners& live,
                  std::optional<Milliseconds> drain_limit) {
  if (check_ && !check_status_) ::kill(check_->pid(), SIGKILL);
  workers.withdraw(generation_->number, monotonic_ms(), drain_limit);
  generation_->remove_files_not_in(live);
}

void Reload::close_listeners_unless(const Generation& served) {
  if (generation_.get() != &served) generation_->close_in_child();
}

size_t max_draining_workers(const Generation& current, size_t slots) {
  constexpr size_t kMaxPerPlace = 8;
  const size_t places = current.places.size();
  const size_t room = slots > 2 * places ? slots - 2 * places : 1;
  const size_t configured = current.config.drain.max_workers;
  return std::min(configured > 0 ? configured : kMaxPerPlace * places, room);
}

}  // namespace streamgate
