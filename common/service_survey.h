// The state of the whole service as one value, read from the scoreboard, and its text forms: for
// the admin pages of the workers, and for `streamgate -s` (written by the master). May be called by
// any process.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/scoreboard.h"

namespace streamgate {

struct ServiceSurvey {
  struct Worker {
    size_t slot;
    uint32_t pid;
    uint64_t generation;
    WorkerState state;
    int64_t age_ms;
    uint64_t connections;
    uint64_t idle;
    uint64_t exchanges;
    uint64_t upstream_connections;
    uint64_t upstream_idle;
    uint64_t cache_bytes_held;
    uint64_t cache_leases;
    uint64_t bytes_in_sockets;
  };
  struct Stream {
    size_t slot;
    StreamFacts facts;
  };

  int64_t now_ms = 0;  // CLOCK_MONOTONIC
  bool is_ready = false;
  std::optional<ServiceFacts> facts;  // none before the master has written them
  Totals totals{};
  std::vector<Worker> workers;
  std::vector<Stream> streams;      // the oldest first
  std::vector<HostFailures> hosts;  // of all live workers, most failures first; at most 20
  int64_t certificates_expire = 0;  // the earliest expiry, seconds since 1970; 0: none

  uint64_t exchanges() const;  // now; streams may have fewer
};

// `patience`: the watchdog_timeout of the service.
ServiceSurvey survey(const ScoreboardView& scoreboard, int64_t now_ms,
                     std::chrono::milliseconds patience);

// JSON objects, with a line break at the end. Times are ISO 8601, durations seconds.
std::string print_status_json(const ServiceSurvey& survey);
std::string print_streams_json(const ServiceSurvey& survey);
// A line `streams shown=... exchanges=...` and one line `stream key=value ...` for each stream, in
// the form of the event log.
std::string print_streams(const ServiceSurvey& survey);

// Seconds since 1970 of a time of CLOCK_MONOTONIC. Rounded, so that two readings of the clocks give
// the same second.
int64_t unix_seconds_of(int64_t monotonic_time_ms);

}  // namespace streamgate
