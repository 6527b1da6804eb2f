// The text of `<pid_file>.status`: the state of the service, one line for the master, each outcome
// and each worker, in the form `<name> key=value ...` of the event log. The master prints it,
// `streamgate -s` reads it. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace streamgate {

// The outcome of the last reload, or of the last reopening of the logs.
struct Outcome {
  uint64_t sequence = 0;   // 0: there was none yet
  int64_t started_us = 0;  // CLOCK_MONOTONIC; changes made before have been read
  std::string problem;     // empty: it succeeded

  // Counts the sequence up. `new_problem` is empty after a success.
  void record(int64_t start_us, std::string new_problem);
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
  std::string_view state;  // `starting`, `serving`, `reloading`, `leaving` or `stopping`
  int64_t age_s = 0;
  int64_t written_us = 0;     // CLOCK_MONOTONIC
  size_t workers_wanted = 0;  // fewer serve while a place waits to be filled again
  std::string addresses;
  std::string held;  // why a wanted reload does not begin; empty: none is held
  Outcome reload;
  Outcome reopen;
  std::vector<Worker> workers;
  std::vector<uint64_t> totals;  // in the order of kCounters
};

std::string print_status(const StatusReport& report);

// Whether the text is whole: its last line, `end`, has the `written_us` of the first. On a full
// disk the file is written in place.
bool is_whole_status(std::string_view text);

// The value of `key` in the first line whose name is `line`; none if there is none.
std::optional<std::string> status_value(std::string_view text, std::string_view line,
                                        std::string_view key);
// The outcome in the line named `line`; its sequence is 0 if there is no such line.
Outcome status_outcome(std::string_view text, std::string_view line);

}  // namespace streamgate
