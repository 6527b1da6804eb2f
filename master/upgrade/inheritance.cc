#include "master/upgrade/inheritance.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "common/clock.h"
#include "master/config/listen.h"

namespace streamgate {
namespace {

using SharedBoard = std::shared_ptr<ForeignScoreboard>;

Error refused(const std::string& what) { return {Reason::internal, what}; }

// Owns every descriptor of the handover until it is taken.
class Descriptors {
 public:
  // Close-on-exec again, before this process forks.
  Result<void> own(int fd) {
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
      return refused("descriptor " + std::to_string(fd) +
                     " was not handed over: " + std::strerror(errno));
    }
    fds_.emplace_back(fd);
    return {};
  }

  Result<void> own_all(const Handover& handover) {
    std::vector<int> all = descriptors_of(handover);
    std::sort(all.begin(), all.end());
    if (std::adjacent_find(all.begin(), all.end()) != all.end()) {
      return refused("a descriptor was handed over twice");
    }
    for (const int fd : all) {
      if (auto owned = own(fd); !owned) return owned;
    }
    return {};
  }

  UniqueFd take(int fd) {
    const auto found = std::find_if(fds_.begin(), fds_.end(),
                                    [fd](const UniqueFd& each) { return each.get() == fd; });
    return found == fds_.end() ? UniqueFd() : std::move(*found);
  }

 private:
  std::vector<UniqueFd> fds_;
};

Result<Listener> take_listener(const Handover::Listener& record, Descriptors& descriptors) {
  UniqueFd fd = descriptors.take(record.fd);
  if (record.from_manager) return Listener::resume(std::move(fd), std::nullopt, 0, 0);
  const auto configured = SocketAddress::parse(record.configured);
  if (!configured) return configured.error();
  return Listener::resume(std::move(fd), *configured, record.device, record.inode);
}

// The listeners of a generation have the order of its configuration.
bool are_same(const Config& config, const Listeners& listeners) {
  return all_addresses(config) == addresses_of(listeners);
}

// The serving generation, with its inherited listeners. Binds no socket.
Result<Generation> take_generation(const Handover& handover, const Listeners& listeners,
                                   const Listeners& from_manager) {
  LoadedConfig loaded = config_from(handover.settings, "the configuration in effect");
  if (!loaded.ok()) {
    return refused(loaded.problems.front() +
                   " (reload with a configuration that both programs know, then replace the file)");
  }
  use_addresses_of_manager(addresses_of(from_manager), loaded.config);
  if (!are_same(loaded.config, listeners)) {
    return refused("the listeners are not those of the configuration in effect");
  }
  // The certificates in use; their files may have changed.
  for (size_t i = 0; i < loaded.config.listen.size(); ++i) {
    loaded.config.listen[i].tls = handover.listeners[i].tls;
  }
  auto generation =
      Generation::prepare(handover.generation.number, std::move(loaded.config), listeners);
  if (!generation) return generation;
  generation->places.resize(handover.generation.places);
  for (const Handover::Worker& worker : handover.workers) {
    if (worker.generation == generation->number) generation->places[worker.place].taken = true;
  }
  return generation;
}

// The boards of the handover. Those with another layout than this program's are mapped.
class Boards {
 public:
  static Result<Boards> take(const Handover& handover, Descriptors& descriptors) {
    Boards out;
    out.foreign_.resize(handover.boards.size());
    const Handover::Board& first = handover.boards.front();
    const bool same = first.layout == own_layout(first.layout.slots);
    for (size_t i = same ? 1 : 0; i < handover.boards.size(); ++i) {
      auto board = ForeignScoreboard::open(descriptors.take(handover.boards[i].fd),
                                           handover.boards[i].layout);
      if (!board) return board.error();
      out.foreign_[i] = std::make_shared<ForeignScoreboard>(*std::move(board));
    }
    auto own = same ? Scoreboard::adopt(descriptors.take(first.fd), first.layout.slots)
                    : Scoreboard::create(kSlots);
    if (!own) return own.error();
    out.own_.emplace(*std::move(own));
    if (!same) out.foreign_.front()->add_retired_to(out.own_->board());
    return out;
  }

  Scoreboard take_own() { return *std::move(own_); }

  // The worker with its slot, or with a copy of the slot of its home.
  Result<WorkerProcess> place(const Handover::Worker& record) {
    const bool is_new = foreign_.front() != nullptr;
    const WorkerProcess::Identity identity{static_cast<pid_t>(record.pid), record.slot,
                                           record.generation, record.place};
    if (!is_new && record.board == 0) {
      return WorkerProcess(identity, own_->column(record.slot).slot, record.standing, std::nullopt);
    }
    const unsigned home_slot = record.board == 0 ? record.slot : record.board_slot;
    const WorkerProcess::Home home{foreign_[record.board], home_slot};
    if (!is_new) {
      return WorkerProcess(identity, own_->column(record.slot).slot, record.standing, home);
    }
    const auto taken = own_->take(identity.generation);
    if (!taken) return refused("too many workers are still draining");
    WorkerProcess::Standing standing = record.standing;
    if (standing.started_ms == 0) {  // written by a program that has it in its scoreboard
      standing.started_ms = home.board->started_ms(home_slot, monotonic_ms());
    }
    WorkerProcess worker({identity.pid, *taken, identity.generation, identity.place},
                         own_->column(*taken).slot, standing, home);
    worker.mirror();
    return worker;
  }

 private:
  Boards() = default;

  std::optional<Scoreboard> own_;
  std::vector<SharedBoard> foreign_;  // by number; null for a board with this program's layout
};

// A directory of another layout is left to the workers that have it: nobody clears the columns of
// those that die, but all of them drain.
Result<CacheSeats> take_cache(const Handover& handover, Descriptors& descriptors) {
  if (handover.cache.empty() || handover.cache.front().layout != kCacheLayoutVersion) {
    return CacheSeats();
  }
  CacheDirectory::Files files;
  files.directory = descriptors.take(handover.cache.front().directory);
  files.bodies = descriptors.take(handover.cache.front().bodies);
  for (const Handover::CacheWaker& waker : handover.cache_wakers) {
    files.wakers.push_back(descriptors.take(waker.fd));
  }
  auto adopted = CacheDirectory::adopt(std::move(files));
  if (!adopted) return adopted.error();
  auto directory = std::make_shared<CacheDirectory>(*std::move(adopted));
  std::map<pid_t, CacheSeatGrant> seats;
  for (const Handover::Worker& worker : handover.workers) {
    if (!worker.cache_column) continue;
    seats[static_cast<pid_t>(worker.pid)] = {directory,
                                             static_cast<unsigned>(*worker.cache_column)};
  }
  return CacheSeats(std::move(directory), std::move(seats));
}

}  // namespace

Result<Inheritance> Inheritance::take(const Handover& handover) {
  Descriptors descriptors;
  if (const auto owned = descriptors.own_all(handover); !owned) return owned.error();
  Listeners listeners;
  Listeners from_manager;
  for (const Handover::Listener& record : handover.listeners) {
    auto listener = take_listener(record, descriptors);
    if (!listener) return listener.error();
    listeners.push_back(std::make_shared<const Listener>(*std::move(listener)));
    if (record.from_manager) from_manager.push_back(listeners.back());
  }
  auto generation = take_generation(handover, listeners, from_manager);
  if (!generation) return generation.error();
  auto boards = Boards::take(handover, descriptors);
  if (!boards) return boards.error();
  std::vector<WorkerProcess> workers;
  for (const Handover::Worker& record : handover.workers) {
    auto worker = boards->place(record);
    if (!worker) return worker.error();
    workers.push_back(*std::move(worker));
  }
  auto cache_seats = take_cache(handover, descriptors);
  if (!cache_seats) return cache_seats.error();
  return Inheritance{descriptors.take(handover.service.lifeline_read),
                     descriptors.take(handover.service.lifeline_write),
                     std::move(from_manager),
                     *std::move(generation),
                     boards->take_own(),
                     std::move(workers),
                     *std::move(cache_seats)};
}

}  // namespace streamgate
