// Where each value of a scoreboard stands, by name: what lets a program read the scoreboard that an
// older or newer one has made. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "common/result.h"

namespace streamgate {

// Bytes from the start of the board (`board.*`), or of a slot (`slot.*`, `worker.*`: a counter of a
// worker; `retired.*`: the same counter of those that are gone). A value keeps its width for as
// long as it keeps its name: counters, times and gauges have 64 bits, `slot.state` and `slot.pid`
// 32, `board.service_stopping` 8.
struct ScoreboardLayout {
  size_t size = 0;  // of the whole mapping, in bytes
  size_t slots = 0;
  size_t first_slot = 0;
  size_t slot_size = 0;
  std::map<std::string, size_t> offsets;
  std::map<std::string, uint32_t> states;  // the numbers of WorkerState

  bool operator==(const ScoreboardLayout&) const = default;
};

// That of this program, with so many slots.
ScoreboardLayout own_layout(size_t slots);

// Whether every value lies within the mapping, and where its type may stand.
Result<void> check_layout(const ScoreboardLayout& layout);

}  // namespace streamgate
