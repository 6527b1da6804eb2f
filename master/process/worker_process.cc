#include "master/process/worker_process.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include <algorithm>
#include <utility>

namespace streamgate {
namespace {

constexpr int64_t kCoreTimeMs = 2'000;      // from SIGABRT to SIGKILL
constexpr Milliseconds kDrainGrace{5'000};  // from the SIGINT that ends a drain to SIGKILL

}  // namespace

WorkerProcess::WorkerProcess(const Identity& identity, Slot& slot, int64_t started_ms)
    : identity_(identity), slot_(&slot) {
  standing_.started_ms = started_ms;
}

WorkerProcess::WorkerProcess(const Identity& identity, Slot& slot, const Standing& standing,
                             std::optional<Home> home)
    : identity_(identity), slot_(&slot), standing_(standing), home_(std::move(home)) {}

void WorkerProcess::mirror() {
  if (home_) home_->board->mirror(home_->slot_index, *slot_);
}

bool WorkerProcess::is_starting() const { return slot_->state.load() == WorkerState::starting; }

bool WorkerProcess::is_ready() const { return slot_->state.load() == WorkerState::ready; }

int64_t WorkerProcess::age_ms(int64_t now_ms) const { return now_ms - standing_.started_ms; }

int64_t WorkerProcess::silence_ms(int64_t now_ms) const {
  // The number may be invalid: the worker may have been compromised.
  return now_ms - std::clamp<int64_t>(slot_->beat_ms.load(), 0, now_ms);
}

bool WorkerProcess::became_ready() {
  if (standing_.seen_ready || !is_ready()) return false;
  standing_.seen_ready = true;
  return true;
}

void WorkerProcess::send(int signal_number) const { ::kill(identity_.pid, signal_number); }

void WorkerProcess::give(Order order, int signal_number, std::optional<int64_t> deadline_ms) {
  standing_.order = order;
  standing_.deadline_ms = deadline_ms;
  send(signal_number);
}

void WorkerProcess::drain(int64_t now_ms, std::optional<Milliseconds> limit) {
  if (standing_.order > Order::drain) return;
  std::optional<int64_t> deadline;
  if (limit) deadline = now_ms + limit->count();
  if (standing_.order == Order::serve) return give(Order::drain, SIGQUIT, deadline);
  // It drains already: the limit can only become shorter.
  if (deadline && (!standing_.deadline_ms || *deadline < *standing_.deadline_ms))
    standing_.deadline_ms = deadline;
}

void WorkerProcess::interrupt(int64_t now_ms, Milliseconds grace) {
  const int64_t deadline = now_ms + grace.count();
  if (standing_.order < Order::interrupt) return give(Order::interrupt, SIGINT, deadline);
  if (standing_.order == Order::interrupt)
    standing_.deadline_ms = std::min(*standing_.deadline_ms, deadline);
}

void WorkerProcess::abort(int64_t now_ms) {
  if (standing_.order < Order::abort) give(Order::abort, SIGABRT, now_ms + kCoreTimeMs);
}

void WorkerProcess::escalate(int64_t now_ms) {
  if (!standing_.deadline_ms || now_ms < *standing_.deadline_ms) return;
  if (standing_.order == Order::drain) return interrupt(now_ms, kDrainGrace);
  give(Order::kill, SIGKILL, std::nullopt);
}

bool Ending::by_signal() const { return WIFSIGNALED(wait_status); }

bool Ending::is_exit(int code) const {
  return WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == code;
}

std::string Ending::kind() const { return by_signal() ? "signal" : "status"; }

std::string Ending::value() const {
  if (!by_signal()) return std::to_string(WEXITSTATUS(wait_status));
  const char* name = ::sigabbrev_np(WTERMSIG(wait_status));
  return name ? name : std::to_string(WTERMSIG(wait_status));
}

}  // namespace streamgate
