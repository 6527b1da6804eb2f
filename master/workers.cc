#include "master/workers.h"

#include <algorithm>
#include <utility>

#include "common/clock.h"
#include "common/pipe_pair.h"
#include "master/process/child_process.h"
#include "master/process/scoreboard_layout.h"
#include "master/service/limits.h"

namespace streamgate {
namespace {

using Order = WorkerProcess::Order;

template <class Predicate>
size_t count_of(const std::vector<WorkerProcess>& workers, Predicate predicate) {
  return static_cast<size_t>(std::count_if(workers.begin(), workers.end(), predicate));
}

}  // namespace

Result<Workers> Workers::create() {
  auto ends = make_pipe();
  if (!ends) return ends.error();
  Lifeline lifeline{std::move(ends->read_end), std::move(ends->write_end)};
  auto scoreboard = Scoreboard::create(kSlots);
  if (!scoreboard) return scoreboard.error();
  return Workers(*std::move(scoreboard), std::move(lifeline), {});
}

Workers::Workers(Scoreboard scoreboard, Lifeline lifeline, std::vector<WorkerProcess> workers)
    : scoreboard_(std::move(scoreboard)),
      lifeline_(std::move(lifeline)),
      workers_(std::move(workers)) {}

Result<WorkerProcess::Identity> Workers::start(
    uint64_t generation, unsigned place, const std::function<int(unsigned slot_index)>& body) {
  const auto slot_index = scoreboard_.take(generation);
  if (!slot_index) return Error{Reason::internal, "too many workers are still draining"};
  const auto pid = fork_child([&] { return body(*slot_index); });
  if (!pid) {
    scoreboard_.retire(*slot_index);
    return pid.error();
  }
  const WorkerProcess::Identity identity{*pid, *slot_index, generation, place};
  workers_.emplace_back(identity, scoreboard_.column(*slot_index).slot, monotonic_ms());
  return identity;
}

void Workers::close_in_child() {
  lifeline_.write_end.reset();
  workers_.clear();  // with the scoreboards of other programs
}

std::optional<WorkerProcess> Workers::remove(pid_t pid) {
  const auto found = std::find_if(workers_.begin(), workers_.end(), [pid](const auto& worker) {
    return worker.identity().pid == pid;
  });
  if (found == workers_.end()) return std::nullopt;
  WorkerProcess worker = std::move(*found);
  workers_.erase(found);
  worker.mirror();
  return worker;
}

void Workers::mirror() {
  for (WorkerProcess& worker : workers_) worker.mirror();
}

std::vector<WorkerProcess::Identity> Workers::take_newly_ready() {
  std::vector<WorkerProcess::Identity> out;
  for (WorkerProcess& worker : workers_) {
    if (worker.became_ready()) out.push_back(worker.identity());
  }
  return out;
}

std::vector<WorkerProcess*> Workers::stuck(int64_t now_ms, Milliseconds patience) {
  std::vector<WorkerProcess*> out;
  for (WorkerProcess& worker : workers_) {
    if (worker.order() > Order::interrupt) continue;
    const bool is_stuck = worker.is_starting() ? worker.age_ms(now_ms) >= kReadyLimitMs
                                               : worker.silence_ms(now_ms) >= patience.count();
    if (is_stuck) out.push_back(&worker);
  }
  return out;
}

void Workers::escalate(int64_t now_ms) {
  for (WorkerProcess& worker : workers_) worker.escalate(now_ms);
}

void Workers::drain_all(int64_t now_ms, std::optional<Milliseconds> limit) {
  for (WorkerProcess& worker : workers_) worker.drain(now_ms, limit);
}

void Workers::drain_all_except(uint64_t generation, int64_t now_ms,
                               std::optional<Milliseconds> limit) {
  for (WorkerProcess& worker : workers_) {
    if (worker.identity().generation != generation) worker.drain(now_ms, limit);
  }
}

void Workers::interrupt_all(int64_t now_ms, Milliseconds grace) {
  for (WorkerProcess& worker : workers_) worker.interrupt(now_ms, grace);
}

void Workers::withdraw(uint64_t generation, int64_t now_ms,
                       std::optional<Milliseconds> drain_limit) {
  for (WorkerProcess& worker : workers_) {
    if (worker.identity().generation != generation) continue;
    if (worker.is_ready()) {
      worker.drain(now_ms, drain_limit);
    } else {
      worker.interrupt(now_ms, kInterruptGrace);
    }
  }
}

void Workers::interrupt_generation(uint64_t generation, int64_t now_ms, Milliseconds grace) {
  for (WorkerProcess& worker : workers_) {
    if (worker.identity().generation == generation) worker.interrupt(now_ms, grace);
  }
}

void Workers::send_all(int signal_number) const {
  for (const WorkerProcess& worker : workers_) worker.send(signal_number);
}

void Workers::announce_stop() {
  scoreboard_.board().service_stopping = true;
  for (const WorkerProcess& worker : workers_) {
    if (worker.home()) worker.home()->board->announce_stop();
  }
}

size_t Workers::draining() const {
  return count_of(workers_, [](const auto& worker) { return worker.order() != Order::serve; });
}

std::optional<uint64_t> Workers::oldest_draining() const {
  std::optional<uint64_t> oldest;
  for (const WorkerProcess& worker : workers_) {
    if (worker.order() > Order::drain) return std::nullopt;
    if (worker.order() == Order::serve) continue;
    oldest = std::min(oldest.value_or(UINT64_MAX), worker.identity().generation);
  }
  return oldest;
}

size_t Workers::ready(uint64_t generation) const {
  return count_of(workers_, [generation](const auto& worker) {
    return worker.identity().generation == generation && worker.is_ready();
  });
}

size_t Workers::serving(uint64_t generation) const {
  return count_of(workers_, [generation](const auto& worker) {
    return worker.identity().generation == generation && worker.is_ready() &&
           worker.order() == Order::serve;
  });
}

bool Workers::any_awaited() const {
  return std::any_of(workers_.begin(), workers_.end(),
                     [](const auto& worker) { return worker.is_awaited(); });
}

bool Workers::any_beat_within(int64_t now_ms, Milliseconds limit) const {
  return std::any_of(workers_.begin(), workers_.end(),
                     [&](const auto& worker) { return worker.silence_ms(now_ms) < limit.count(); });
}

std::optional<int64_t> Workers::next_deadline_ms() const {
  std::optional<int64_t> earliest;
  for (const WorkerProcess& worker : workers_) {
    const auto deadline = worker.deadline_ms();
    if (deadline && (!earliest || *deadline < *earliest)) earliest = deadline;
  }
  return earliest;
}

uint64_t Workers::total(Counter counter) const { return total_of(counter, scoreboard_.view()); }

}  // namespace streamgate
