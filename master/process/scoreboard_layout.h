// The offset of each value of a scoreboard, by name. With it a program reads the scoreboard of an
// older or newer program. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "common/result.h"

namespace streamgate {

// The slots of the scoreboard that this program makes: enough for several generations of many
// workers. A slot in use takes a page of memory and its tables, a vacant slot takes no memory.
constexpr size_t kSlots = 512;

// Offsets are in bytes, from the start of the mapping or of a slot's column:
//
//   board.*, retired.*  in the mapping
//   assignment.*        in the mapping, for the first slot
//   slot.*, worker.*    in a slot's column
//
// `worker.X` is a counter of one worker, `retired.X` the sum of workers that have ended. A value
// keeps its width for as long as it keeps its name: counters, times and gauges have 64 bits,
// `slot.state` and `slot.pid` 32, `board.service_stopping` 8.
//
// `slot.client_counts`, `slot.streams`, `slot.host_failures` and `board.facts` are tables that only
// programs with the same layout use; a table of another format gets another name.
// `board.arrivals_1` is a mark, not an offset: it names the format of the table after the columns.
// Older programs also have `slot.generation`.
struct ScoreboardLayout {
  size_t size = 0;  // of the whole mapping, in bytes
  size_t slots = 0;
  size_t first_slot = 0;
  size_t slot_size = 0;
  std::map<std::string, size_t> offsets;
  std::map<std::string, uint32_t> states;  // the numbers of WorkerState

  bool operator==(const ScoreboardLayout&) const = default;
};

// The layout of this program's scoreboard.
ScoreboardLayout own_layout(size_t slots);

// An error if a value lies outside the mapping or is not aligned for its type.
Result<void> check_layout(const ScoreboardLayout& layout);

}  // namespace streamgate
