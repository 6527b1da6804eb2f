// The text of `<pid_file>.status`: what the master tells about itself, one line per thing, each
// `<name> key=value ...` as in the event log. Pure: the master prints it, `streamgate -s` reads it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/scoreboard.h"

namespace streamgate {

// How the last order of one kind ended.
struct Outcome {
  uint64_t sequence = 0;   // 0: there was none yet
  int64_t started_us = 0;  // CLOCK_MONOTONIC: what was changed before has been seen
  std::string problem;     // empty: it succeeded

  // Makes this the next one.
  void record(int64_t start_us, std::string what);
};

struct StatusReport {
  struct Worker {
    int pid;
    unsigned slot;
    uint64_t generation;
    std::string_view state;  // stable storage
    int64_t age_s;
    uint64_t connections;
    uint64_t exchanges;
  };

  int pid = 0;
  uint64_t start_ticks = 0;  // of that process (start_ticks_of)
  uint64_t generation = 0;
  std::string_view state;  // `starting`, `serving`, `reloading` or `stopping`
  int64_t age_s = 0;
  int64_t written_us = 0;     // CLOCK_MONOTONIC
  size_t workers_wanted = 0;  // fewer than that serve while a place waits to be filled again
  std::string addresses;
  std::string held;  // why a wanted reload does not begin; empty: none is held
  Outcome reload;
  Outcome reopen;
  std::vector<Worker> workers;
  std::vector<uint64_t> totals;  // in the order of kCounters
};

std::string print_status(const StatusReport& report);

// One value out of such a text: `key` of the first line called `line`. None if it is not there.
std::optional<std::string> status_value(std::string_view text, std::string_view line,
                                        std::string_view key);
// The outcome of that name; one that never was if the text does not tell.
Outcome status_outcome(std::string_view text, std::string_view line);

}  // namespace streamgate
