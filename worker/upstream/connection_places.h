// Counts connections over all workers where upstream.max_connections limits them. Each worker
// writes its own ConnectionTable only; the master clears that of a dead worker, whose connections
// the kernel has closed.
//
// The limit is exact. A worker announces its claim in its row, fences, and counts all rows. It
// takes the place if the connections and all other claims leave one. Of two that claim the last
// place at once, each has announced before it counts, so at least one sees the other; both may see
// each other. Then the worker with the higher slot withdraws, and the one with the lower slot
// counts again. A claim takes microseconds. One that stays, because its worker was stopped in
// between, counts as a connection until the watchdog ends that worker.
//
// One per worker.
#pragma once

#include <chrono>
#include <cstdint>

#include "common/connection_table.h"
#include "common/scoreboard.h"
#include "common/url.h"
#include "worker/upstream/host_settings.h"

namespace streamgate {

// What max_connections counts for that URL, as a number that is never 0 and equal in all workers;
// 0 if the connections of its host are not limited.
uint64_t limit_key_of(const HttpUrl& url, const HostSettings& settings);

class ConnectionPlaces {
 public:
  // The column of `slot` is the worker's own. Workers whose request waits longer than `patience`
  // are ignored: they have been stopped.
  ConnectionPlaces(ConnectionTable& own, size_t slot, const ScoreboardView& scoreboard,
                   std::chrono::milliseconds patience);
  ConnectionPlaces(const ConnectionPlaces&) = delete;
  ConnectionPlaces& operator=(const ConnectionPlaces&) = delete;

  // Whether this worker may open one more connection; then release() ends it. False also if the
  // row's set in the table is full (more than 8 keys of 128 sets).
  bool claim(uint64_t key, unsigned limit);
  void release(uint64_t key);

  // Tells the other workers since when the longest waiting request of this one waits; 0: none
  // waits. False if the table has no row for it.
  bool set_waiting_since(uint64_t key, int64_t since_ms);
  // Whether a request of another worker waits for that key, and has waited for longer than since
  // `before_ms`. Of equal times, that of the lower slot counts as longer.
  bool is_wanted_elsewhere(uint64_t key, int64_t before_ms, int64_t now_ms) const;
  // Whether any request of another worker waits for any key.
  bool is_any_wanted() const;

 private:
  struct Tally {
    uint64_t connections = 0;
    uint64_t lower_claims = 0;  // of workers with a lower slot
    uint64_t higher_claims = 0;
  };
  Tally count_others(uint64_t key) const;
  ConnectionRow* find_or_take_row(uint64_t key);
  ConnectionRow* find_row(uint64_t key);
  template <class Visit>
  void for_each_other(Visit visit) const;

  ConnectionTable& own_;
  const size_t slot_;
  const ScoreboardView scoreboard_;
  const int64_t patience_ms_;
};

}  // namespace streamgate
