#include "master/process/foreign_scoreboard.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <utility>

#include "common/check.h"
#include "common/clock.h"
#include "common/system_error.h"

namespace streamgate {
namespace {

constexpr char kCannotMap[] = "cannot map the scoreboard of the previous program";

Error failed(const std::string& why) {
  return {Reason::internal, std::string(kCannotMap) + ": " + why};
}

}  // namespace

Result<ForeignScoreboard> ForeignScoreboard::open(UniqueFd file, ScoreboardLayout layout) {
  if (const auto checked = check_layout(layout); !checked) return checked.error();
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return system_error(kCannotMap);
  if (std::cmp_less(info.st_size, layout.size)) return failed("it is too small");
  void* memory = ::mmap(nullptr, layout.size, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (memory == MAP_FAILED) return system_error(kCannotMap);
  return ForeignScoreboard(std::move(file), std::move(layout), static_cast<char*>(memory));
}

ForeignScoreboard::ForeignScoreboard(ForeignScoreboard&& other) noexcept
    : file_(std::move(other.file_)),
      layout_(std::move(other.layout_)),
      memory_(std::exchange(other.memory_, nullptr)) {}

ForeignScoreboard::~ForeignScoreboard() {
  if (memory_) ::munmap(memory_, layout_.size);
}

template <class T>
T ForeignScoreboard::read(const char* base, const std::string& name, T otherwise) const {
  const auto found = layout_.offsets.find(name);
  if (found == layout_.offsets.end()) return otherwise;
  // The worker writes it at the same time, as an atomic of this size: read it with one load.
  return __atomic_load_n(reinterpret_cast<const T*>(base + found->second), __ATOMIC_RELAXED);
}

const char* ForeignScoreboard::slot_at(unsigned index) const {
  CHECK(index < layout_.slots);
  return memory_ + layout_.first_slot + index * layout_.slot_size;
}

int64_t ForeignScoreboard::started_ms(unsigned index, int64_t otherwise) const {
  return read<int64_t>(slot_at(index), "slot.started_ms", otherwise);
}

void ForeignScoreboard::mirror(unsigned index, Slot& slot) const {
  const char* base = slot_at(index);
  slot.beat_ms = read<int64_t>(base, "slot.beat_ms", monotonic_ms());
  slot.connections_now = read<uint64_t>(base, "slot.connections_now", 0);
  slot.exchanges_now = read<uint64_t>(base, "slot.exchanges_now", 0);
  slot.pid = read<uint32_t>(base, "slot.pid", 0);
  slot.started_ms = read<int64_t>(base, "slot.started_ms", 0);
  slot.upstream_connections_now = read<uint64_t>(base, "slot.upstream_connections_now", 0);
  slot.upstream_idle_now = read<uint64_t>(base, "slot.upstream_idle_now", 0);
  slot.cache_bytes_held = read<uint64_t>(base, "slot.cache_bytes_held", 0);
  slot.cache_leases_now = read<uint64_t>(base, "slot.cache_leases_now", 0);
  slot.bytes_in_sockets = read<uint64_t>(base, "slot.bytes_in_sockets", 0);
  for (const CounterInfo& info : kCounters) {
    slot.counters[info.counter] = read<uint64_t>(base, "worker." + std::string(info.name), 0);
  }
  const uint32_t number = read<uint32_t>(base, "slot.state", 0);
  for (const WorkerState state :
       {WorkerState::starting, WorkerState::ready, WorkerState::draining}) {
    const auto known = layout_.states.find(std::string(name_of(state)));
    if (known != layout_.states.end() && known->second == number) slot.state = state;
  }
}

void ForeignScoreboard::add_retired_to(Board& board) const {
  for (const CounterInfo& info : kCounters) {
    count(board.retired, info.counter,
          read<uint64_t>(memory_, "retired." + std::string(info.name), 0));
  }
}

void ForeignScoreboard::announce_stop() {
  const auto found = layout_.offsets.find("board.service_stopping");
  if (found == layout_.offsets.end()) return;
  __atomic_store_n(reinterpret_cast<bool*>(memory_ + found->second), true, __ATOMIC_RELAXED);
}

}  // namespace streamgate
