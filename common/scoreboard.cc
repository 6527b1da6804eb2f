#include "common/scoreboard.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "common/check.h"
#include "common/clock.h"
#include "common/memory_file.h"
#include "common/shared_pages.h"
#include "common/system_error.h"

namespace streamgate {
namespace {

static_assert(std::atomic<uint64_t>::is_always_lock_free, "shared between processes");

// Only root and the master's user may open the file again, and only to read it.
constexpr mode_t kFileMode = 0400;

Error cannot_map() { return system_error("cannot map the scoreboard"); }

uint64_t sum(Counter counter, const ScoreboardView& scoreboard) {
  uint64_t total = scoreboard.board.retired[counter].load(std::memory_order_relaxed);
  for (size_t i = 0; i < scoreboard.slot_count(); ++i) {
    if (!scoreboard.is_live(i)) continue;
    total += scoreboard.columns[i].slot.counters[counter].load(std::memory_order_relaxed);
  }
  return total;
}

// Reads by `read` what a retirement moves, while none takes place.
template <class Read>
auto outside_retirements(const ScoreboardView& scoreboard, const Read& read) {
  // A limit, because a master that is killed while it moves counters leaves the number odd.
  constexpr int kAttempts = 1000;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const uint32_t before = scoreboard.board.retirements.load(std::memory_order_acquire);
    const auto value = read();
    std::atomic_thread_fence(std::memory_order_acquire);
    const uint32_t after = scoreboard.board.retirements.load(std::memory_order_relaxed);
    if (before == after && before % 2 == 0) return value;
  }
  return read();
}

size_t whole_pages(size_t bytes) {
  return (bytes + kScoreboardPage - 1) / kScoreboardPage * kScoreboardPage;
}

// Replaces the pages at `start` by those of the file. They are left out of core dumps: a dump would
// allocate pages that are not in use.
bool map_at(char* start, size_t size, int protection, int file, size_t offset) {
  if (size == 0) return true;
  void* mapped =
      ::mmap(start, size, protection, MAP_SHARED | MAP_FIXED, file, static_cast<off_t>(offset));
  if (mapped == MAP_FAILED) return false;
  ::madvise(start, size, MADV_DONTDUMP);
  return true;
}

}  // namespace

std::string_view name_of(WorkerState state) {
  switch (state) {
    case WorkerState::starting:
      return "starting";
    case WorkerState::ready:
      return "ready";
    case WorkerState::draining:
      return "draining";
  }
  return "?";
}

uint64_t total_of(Counter counter, const ScoreboardView& scoreboard) {
  return outside_retirements(scoreboard, [&] { return sum(counter, scoreboard); });
}

Totals totals_of(const ScoreboardView& scoreboard) {
  return outside_retirements(scoreboard, [&] {
    Totals totals;
    for (size_t k = 0; k < kCounterCount; ++k) {
      totals[k] = scoreboard.board.retired[kCounters[k].counter].load(std::memory_order_relaxed);
    }
    for (size_t i = 0; i < scoreboard.slot_count(); ++i) {
      if (!scoreboard.is_live(i)) continue;
      const Counters& counters = scoreboard.columns[i].slot.counters;
      for (size_t k = 0; k < kCounterCount; ++k) {
        totals[k] += counters[kCounters[k].counter].load(std::memory_order_relaxed);
      }
    }
    return totals;
  });
}

bool is_ready(const ScoreboardView& scoreboard, int64_t now_ms,
              std::chrono::milliseconds patience) {
  const Board& board = scoreboard.board;
  if (board.service_stopping.load() || board.service_leaving.load() != 0) return false;
  for (size_t i = 0; i < scoreboard.slot_count(); ++i) {
    if (!scoreboard.is_live(i)) continue;
    const Slot& slot = scoreboard.columns[i].slot;
    const bool beats = now_ms - slot.beat_ms.load(std::memory_order_relaxed) < patience.count();
    if (slot.state.load() == WorkerState::ready && beats) return true;
  }
  return false;
}

size_t columns_offset(size_t slot_count) {
  return whole_pages(kAssignmentsOffset + slot_count * sizeof(Assignment));
}

size_t arrivals_offset(size_t slot_count) {
  return columns_offset(slot_count) + slot_count * sizeof(Column);
}

size_t scoreboard_size(size_t slot_count) {
  return arrivals_offset(slot_count) + whole_pages(sizeof(ArrivalTable));
}

Result<Scoreboard> Scoreboard::create(size_t slot_count) {
  auto file = make_memory_file("streamgate-scoreboard");
  if (!file) return file.error();
  if (::ftruncate(file->get(), static_cast<off_t>(scoreboard_size(slot_count))) != 0 ||
      ::fchmod(file->get(), kFileMode) != 0) {
    return cannot_map();
  }
  // Zero, as the kernel provides the pages, is the initial state of every part.
  auto made = adopt(*std::move(file), slot_count);
  if (!made) return made;
  uint64_t seed = 0;
  if (::getrandom(&seed, sizeof seed, 0) != sizeof seed) {
    return system_error("cannot read random bytes");
  }
  made->arrivals().seed = seed;
  return made;
}

Result<Scoreboard> Scoreboard::adopt(UniqueFd file, size_t slot_count) {
  struct stat info {};
  const size_t size = scoreboard_size(slot_count);
  if (::fstat(file.get(), &info) != 0) return cannot_map();
  if (std::cmp_less(info.st_size, size)) {
    return Error{Reason::internal, "the scoreboard is smaller than its slots"};
  }
  char* memory = reserve_addresses(size, kScoreboardPage);
  if (memory == nullptr) return cannot_map();
  if (!map_at(memory, size, PROT_READ | PROT_WRITE, file.get(), 0)) {
    const Error error = cannot_map();
    ::munmap(memory, size);
    return error;
  }
  return Scoreboard(std::move(file), memory, slot_count);
}

Scoreboard::Scoreboard(UniqueFd file, char* memory, size_t slot_count)
    : file_(std::move(file)),
      board_(reinterpret_cast<Board*>(memory)),
      assignments_(reinterpret_cast<Assignment*>(memory + kAssignmentsOffset)),
      columns_(reinterpret_cast<Column*>(memory + columns_offset(slot_count))),
      arrivals_(reinterpret_cast<ArrivalTable*>(memory + arrivals_offset(slot_count))),
      slot_count_(slot_count) {}

Scoreboard::Scoreboard(Scoreboard&& other) noexcept
    : file_(std::move(other.file_)),
      board_(std::exchange(other.board_, nullptr)),
      assignments_(std::exchange(other.assignments_, nullptr)),
      columns_(std::exchange(other.columns_, nullptr)),
      arrivals_(std::exchange(other.arrivals_, nullptr)),
      slot_count_(std::exchange(other.slot_count_, 0)) {}

Scoreboard::~Scoreboard() {
  if (board_) ::munmap(board_, scoreboard_size(slot_count_));
}

std::optional<unsigned> Scoreboard::take(uint64_t generation) {
  CHECK(generation != 0);
  for (unsigned i = 0; i < slot_count_; ++i) {
    if (view().is_live(i)) continue;
    columns_[i].slot.beat_ms = monotonic_ms();
    assignments_[i].generation = generation;
    return i;
  }
  return std::nullopt;
}

void Scoreboard::retire(unsigned index) {
  CHECK(index < slot_count_);
  board_->retirements.fetch_add(1);
  for (const CounterInfo& info : kCounters) {
    count(board_->retired, info.counter, columns_[index].slot.counters[info.counter].load());
  }
  assignments_[index].generation = 0;
  return_pages(&columns_[index], sizeof(Column));
  board_->retirements.fetch_add(1);
}

Result<void> Scoreboard::confine(unsigned index) {
  CHECK(index < slot_count_);
  const std::string path = "/proc/self/fd/" + std::to_string(file_.get());
  const UniqueFd read_only(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  // Without /proc, as in a bare root directory, only mprotect() could make the mappings writable.
  const bool has_proc = read_only.valid() || errno != ENOENT;
  if (!read_only.valid() && has_proc) {
    return system_error("cannot open the scoreboard to read it: " + path);
  }
  const int source = has_proc ? read_only.get() : file_.get();
  char* start = reinterpret_cast<char*>(board_);
  const size_t own = columns_offset(slot_count_) + index * sizeof(Column);
  const size_t next = own + sizeof(Column);
  const size_t end = arrivals_offset(slot_count_);
  if (!map_at(start, own, PROT_READ, source, 0) ||
      !map_at(start + next, end - next, PROT_READ, source, next)) {
    return cannot_map();
  }
  file_.reset();
  return {};
}

}  // namespace streamgate
