// Counts connections over all workers where upstream.max_connections limits them. Each worker
// writes its own ConnectionTable only; the master clears that of a dead worker, whose connections
// the kernel has closed.
//
// The limit is exact. A worker announces its claim in its row, fences, and counts all rows. It
// takes the place if the connections and all other claims leave one. If two workers claim the last
// place at once, each has announced its claim before it counts, so at least one sees the other. If
// both see each other, the worker with the higher slot withdraws, and the worker with the lower
// slot counts again. A claim takes microseconds. If a worker is stopped in between, its claim
// counts as a connection until the watchdog ends that worker.
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

// The origin or account whose connections max_connections limits for that URL, as a number that is
// never 0 and equal in all workers; 0 if the connections of its host are not limited.
uint64_t limit_key_of(const HttpUrl& url, const HostSettings& settings);

class ConnectionPlaces {
 public:
  // `own` is in the column of `slot`. Workers whose request waits longer than `patience` are
  // ignored: they have been stopped.
  ConnectionPlaces(ConnectionTable& own, size_t slot, const ScoreboardView& scoreboard,
                   std::chrono::milliseconds patience);
  ConnectionPlaces(const ConnectionPlaces&) = delete;
  ConnectionPlaces& operator=(const ConnectionPlaces&) = delete;

  // Whether this worker may open one more connection. If true, the caller owes a release(). False
  // also if the key's set of rows is full: the table has 128 sets of 8 rows.
  bool claim(uint64_t key, unsigned limit);
  void release(uint64_t key);

  // Tells the other workers since when the longest waiting request of this worker waits; 0: no
  // request waits. False if the table has no row for the key.
  bool set_waiting_since(uint64_t key, int64_t since_ms);
  // Whether a request of another worker has waited for that key since before `before_ms`. If the
  // times are equal, the worker with the lower slot comes first.
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
