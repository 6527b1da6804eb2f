#include "master/process/scoreboard_layout.h"

#include <cstddef>
#include <map>
#include <string>

#include "common/scoreboard.h"

namespace streamgate {
namespace {

constexpr size_t kMaxSlots = size_t{1} << 20;
constexpr size_t kMaxSlotBytes = size_t{1} << 20;
// Programs that know this limit refuse a larger slot, and with it the handover.
static_assert(sizeof(Column) <= kMaxSlotBytes);
constexpr size_t kSlotOffset = offsetof(Column, slot);

size_t offset_of(Counter counter) {
  static const Counters kAny;
  return static_cast<size_t>(reinterpret_cast<const char*>(&kAny[counter]) -
                             reinterpret_cast<const char*>(&kAny));
}

size_t width_of(const std::string& name) {
  if (name == "slot.state" || name == "slot.pid") return 4;
  return name == "board.service_stopping" ? 1 : 8;
}

Error refused(const std::string& what) {
  return {Reason::internal, "the layout of the scoreboard is impossible: " + what};
}

// Of everything but the counters.
std::map<std::string, size_t> own_offsets() {
  return {{"board.service_stopping", offsetof(Board, service_stopping)},
          {"assignment.generation", kAssignmentsOffset + offsetof(Assignment, generation)},
          {"assignment.next", kAssignmentsOffset + sizeof(Assignment)},
          {"slot.state", kSlotOffset + offsetof(Slot, state)},
          {"slot.beat_ms", kSlotOffset + offsetof(Slot, beat_ms)},
          {"slot.connections_now", kSlotOffset + offsetof(Slot, connections_now)},
          {"slot.idle_now", kSlotOffset + offsetof(Slot, idle_now)},
          {"slot.wants_room", kSlotOffset + offsetof(Slot, wants_room)},
          {"slot.exchanges_now", kSlotOffset + offsetof(Slot, exchanges_now)},
          {"slot.pid", kSlotOffset + offsetof(Slot, pid)},
          {"slot.started_ms", kSlotOffset + offsetof(Slot, started_ms)},
          {"slot.certificates_expire", kSlotOffset + offsetof(Slot, certificates_expire)},
          {"slot.upstream_connections_now", kSlotOffset + offsetof(Slot, upstream_connections_now)},
          {"slot.upstream_idle_now", kSlotOffset + offsetof(Slot, upstream_idle_now)},
          {"slot.cache_bytes_held", kSlotOffset + offsetof(Slot, cache_bytes_held)},
          {"slot.cache_leases_now", kSlotOffset + offsetof(Slot, cache_leases_now)},
          {"slot.bytes_in_sockets", kSlotOffset + offsetof(Slot, bytes_in_sockets)},
          {"slot.explains_now", kSlotOffset + offsetof(Slot, explains_now)},
          {"board.service_leaving", offsetof(Board, service_leaving)},
          {"board.facts", offsetof(Board, facts)},
          {"board.arrivals_1", 0},
          {"slot.client_counts", offsetof(Column, client_counts)},
          {"slot.streams", offsetof(Column, streams)},
          {"slot.host_failures", offsetof(Column, host_failures)}};
}

}  // namespace

ScoreboardLayout own_layout(size_t slots) {
  ScoreboardLayout out;
  out.size = scoreboard_size(slots);
  out.slots = slots;
  out.first_slot = columns_offset(slots);
  out.slot_size = sizeof(Column);
  out.offsets = own_offsets();
  for (const CounterInfo& info : kCounters) {
    const size_t offset = offset_of(info.counter);
    out.offsets["worker." + std::string(info.name)] =
        kSlotOffset + offsetof(Slot, counters) + offset;
    out.offsets["retired." + std::string(info.name)] = offsetof(Board, retired) + offset;
  }
  for (const WorkerState state :
       {WorkerState::starting, WorkerState::ready, WorkerState::draining}) {
    out.states.emplace(name_of(state), static_cast<uint32_t>(state));
  }
  return out;
}

Result<void> check_layout(const ScoreboardLayout& layout) {
  if (layout.slots == 0 || layout.slots > kMaxSlots || layout.slot_size > kMaxSlotBytes ||
      layout.first_slot > kMaxSlotBytes || layout.slot_size % 8 != 0 ||
      layout.first_slot % 8 != 0) {
    return refused("its slots");
  }
  if (layout.size < layout.first_slot + layout.slots * layout.slot_size) return refused("its size");
  for (const auto& [name, offset] : layout.offsets) {
    const bool in_slot = name.starts_with("slot.") || name.starts_with("worker.");
    const size_t room = in_slot ? layout.slot_size : layout.first_slot;
    const size_t width = width_of(name);
    if (offset > room || room - offset < width || offset % width != 0) return refused(name);
  }
  return {};
}

}  // namespace streamgate
