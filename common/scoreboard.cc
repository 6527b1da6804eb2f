#include "common/scoreboard.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <new>
#include <string>
#include <utility>

#include "common/check.h"
#include "common/clock.h"
#include "common/memory_file.h"
#include "common/system_error.h"

namespace streamgate {
namespace {

static_assert(std::atomic<uint64_t>::is_always_lock_free, "shared between processes");

Error cannot_map() { return system_error("cannot map the scoreboard"); }

uint64_t sum(Counter counter, const Board& board, std::span<const Slot> slots) {
  uint64_t total = board.retired[counter].load(std::memory_order_relaxed);
  for (const Slot& slot : slots) {
    total += slot.counters[counter].load(std::memory_order_relaxed);
  }
  return total;
}

}  // namespace

std::string_view name_of(WorkerState state) {
  switch (state) {
    case WorkerState::vacant:
      return "vacant";
    case WorkerState::starting:
      return "starting";
    case WorkerState::ready:
      return "ready";
    case WorkerState::draining:
      return "draining";
  }
  return "?";
}

uint64_t total_of(Counter counter, const Board& board, std::span<const Slot> slots) {
  // A limit, because a master that is killed while it moves counters leaves the number odd.
  constexpr int kAttempts = 1000;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const uint32_t before = board.retirements.load(std::memory_order_acquire);
    const uint64_t total = sum(counter, board, slots);
    std::atomic_thread_fence(std::memory_order_acquire);
    const uint32_t after = board.retirements.load(std::memory_order_relaxed);
    if (before == after && before % 2 == 0) return total;
  }
  return sum(counter, board, slots);
}

size_t scoreboard_size(size_t slot_count) { return sizeof(Board) + slot_count * sizeof(Slot); }

Result<Scoreboard> Scoreboard::create(size_t slot_count) {
  auto file = make_memory_file("streamgate-scoreboard");
  if (!file) return file.error();
  if (::ftruncate(file->get(), static_cast<off_t>(scoreboard_size(slot_count))) != 0) {
    return cannot_map();
  }
  auto scoreboard = adopt(*std::move(file), slot_count);
  if (!scoreboard) return scoreboard;
  new (scoreboard->board_) Board;
  for (Slot& slot : scoreboard->slots()) new (&slot) Slot;
  return scoreboard;
}

Result<Scoreboard> Scoreboard::adopt(UniqueFd file, size_t slot_count) {
  struct stat info {};
  const size_t size = scoreboard_size(slot_count);
  if (::fstat(file.get(), &info) != 0) return cannot_map();
  if (std::cmp_less(info.st_size, size)) {
    return Error{Reason::internal, "the scoreboard is smaller than its slots"};
  }
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (memory == MAP_FAILED) return cannot_map();
  return Scoreboard(std::move(file), memory, slot_count);
}

Scoreboard::Scoreboard(UniqueFd file, void* memory, size_t slot_count)
    : file_(std::move(file)),
      board_(static_cast<Board*>(memory)),
      slots_(reinterpret_cast<Slot*>(board_ + 1)),
      slot_count_(slot_count) {}

Scoreboard::Scoreboard(Scoreboard&& other) noexcept
    : file_(std::move(other.file_)),
      board_(std::exchange(other.board_, nullptr)),
      slots_(std::exchange(other.slots_, nullptr)),
      slot_count_(std::exchange(other.slot_count_, 0)) {}

Scoreboard::~Scoreboard() {
  if (board_) ::munmap(board_, scoreboard_size(slot_count_));
}

std::optional<unsigned> Scoreboard::take() {
  for (unsigned i = 0; i < slot_count_; ++i) {
    if (slots_[i].state.load() != WorkerState::vacant) continue;
    slots_[i].beat_ms = monotonic_ms();
    slots_[i].started_ms = monotonic_ms();
    slots_[i].state = WorkerState::starting;
    return i;
  }
  return std::nullopt;
}

void Scoreboard::retire(unsigned index) {
  CHECK(index < slot_count_);
  Slot& slot = slots_[index];
  board_->retirements.fetch_add(1);
  for (const CounterInfo& info : kCounters) {
    std::atomic<uint64_t>& counter = slot.counters[info.counter];
    count(board_->retired, info.counter, counter.load());
    counter = 0;
  }
  board_->retirements.fetch_add(1);
  slot.connections_now = 0;
  slot.exchanges_now = 0;
  slot.pid = 0;
  slot.generation = 0;
  slot.state = WorkerState::vacant;
}

}  // namespace streamgate
