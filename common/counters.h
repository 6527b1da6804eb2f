// The counters of a worker: one table, indexed by Counter, in which each counter has its name, its
// help text and its label. The status file, the metrics, the handover to another program and
// total_of() follow from it. Histograms (common/histogram.h) consist of counters too. The last
// group of rows is counted by the master, in Board::retired.
//
// A counter only grows. Names are stable: another version of the program finds a counter by them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

#include "common/reason.h"

namespace streamgate {

// Rows: name and help text. A macro, as STREAMGATE_REASONS is (common/reason.h).
// clang-format off
#define STREAMGATE_COUNTERS(ROW)                                                                  \
  ROW(connections_accepted, "Client connections accepted.")                                       \
  ROW(connections_refused, "Client connections refused: no idle connection could be closed.")      \
  ROW(connections_displaced, "Idle client connections closed to make room for new ones.")         \
  ROW(connections_rate_limited, "Client connections refused: limits.per_client.connections.")     \
  ROW(requests_refused, "Requests rejected before an exchange was started.")                      \
  ROW(requests_rate_limited, "Requests answered with 429: too many in a second.")                 \
  ROW(streams_refused, "Requests answered with 503: limits.streams.")                             \
  ROW(streams_rate_limited, "Requests answered with 429: the streams of a client, token or key.") \
  ROW(streams_throttled, "Requests that waited for bandwidth of their client, token or key.")     \
  ROW(exchanges_started, "Exchanges started: client requests with a valid head.")                 \
  ROW(exchanges_failed, "Exchanges that ended with a reason other than ok.")                      \
  ROW(bytes_to_clients, "Body bytes sent to clients.")                                            \
  ROW(bytes_from_upstreams, "Bytes received from upstreams, heads included.")                     \
  ROW(upstream_connections_opened, "Connections to upstreams opened.")                            \
  ROW(upstream_connections_reused, "Requests sent on an idle upstream connection.")               \
  ROW(playlists_rewritten, "Playlists rewritten.")                                                \
  ROW(playlist_lines_too_long, "Playlist lines longer than limits.playlist_line.")                \
  ROW(access_lines_dropped, "Access log lines dropped because the log was too slow.")             \
  ROW(bytes_spliced, "Bytes of bytes_from_upstreams that were spliced without being copied.")     \
  ROW(resumes_tried, "Requests for the rest of a truncated body.")                                \
  ROW(resumes_done, "Requests of resumes_tried that got the rest.")                               \
  ROW(upstream_reconnects, "Requests for the next body of a live stream that ended.")             \
  ROW(tls_ends_without_notify, "Bodies that ended with a TLS connection without close_notify.")   \
  ROW(client_tls_handshakes, "TLS handshakes with clients that succeeded.")                       \
  ROW(client_tls_handshakes_failed, "TLS handshakes with clients that failed.")                   \
  ROW(upstream_tls_handshakes, "TLS handshakes with upstreams that succeeded.")                   \
  ROW(upstream_names_looked_up, "Names of upstreams that were not in the cache.")                 \
  ROW(cache_hits, "Exchanges answered from a stored answer.")                                     \
  ROW(cache_shared, "Exchanges that shared an upstream request of another client.")               \
  ROW(cache_misses, "Exchanges that began an upstream request that others may share.")            \
  ROW(cache_passes, "Exchanges with an upstream request of their own, while there is a cache.")   \
  ROW(cache_bytes_saved, "Body bytes to clients of answers without a request of their own.")      \
  ROW(cache_bytes_uncopied, "Body bytes that were sent from the memory of the cache without a copy.") \
  ROW(cache_evictions, "Stored answers that made room for others.")                               \
  ROW(cache_validated, "Stale answers that an upstream confirmed with 304.")                      \
  ROW(cache_purged, "Answers, stored or under way, that were dropped by a purge.")                \
  ROW(cache_window_moves, "Times a viewer that fell behind an endless body was moved forward.")   \
  ROW(admin_requests, "Requests to the admin listener that were answered.")                       \
  ROW(admin_requests_refused, "Requests to the admin listener that were refused.")                \
  ROW(workers_died, "Workers that crashed, hung or could not start.")                             \
  ROW(workers_respawned, "Workers that were started in the place of one that had ended.")         \
  ROW(reloads_done, "Reloads that succeeded.")                                                    \
  ROW(reloads_failed, "Reloads that failed.")                                                     \
  ROW(upgrades_done, "Upgrades to another program that succeeded.")                               \
  ROW(upgrades_refused, "Upgrades to another program that were refused.")

// Rows: name and help text. Durations, in milliseconds.
#define STREAMGATE_HISTOGRAMS(ROW)                                                                \
  ROW(connect, "Time for a new connection to an upstream, with its TLS handshake.")               \
  ROW(first_byte, "Time from a request to the beginning of its answer.")                          \
  ROW(exchange, "Time from a request to the end of its answer.")

// The counters of one histogram: how many durations fell in each bucket, and their sum.
#define STREAMGATE_CELLS(CELL, name)                                                              \
  CELL(name, 0) CELL(name, 1) CELL(name, 2) CELL(name, 3) CELL(name, 4) CELL(name, 5)             \
  CELL(name, 6) CELL(name, 7) CELL(name, 8) CELL(name, 9) CELL(name, 10) CELL(name, 11)           \
  CELL(name, 12) CELL(name, 13) CELL(name, 14) CELL(name, 15) CELL(name, 16) CELL(name, 17)       \
  CELL(name, 18) CELL(name, 19) CELL(name, 20) CELL(name, 21) CELL(name, 22) CELL(name, 23)       \
  CELL(name, sum)
// clang-format on

// The cells of the histograms follow the others, then the failures in the order of Reason.
enum class Counter : uint16_t {
#define STREAMGATE_ENUMERATOR(name, help) name,
#define STREAMGATE_CELL(name, cell) name##_ms_##cell,
#define STREAMGATE_HISTOGRAM(name, help) STREAMGATE_CELLS(STREAMGATE_CELL, name)
#define STREAMGATE_FAILURE(token, status, message) failed_##token,
  STREAMGATE_COUNTERS(STREAMGATE_ENUMERATOR) STREAMGATE_HISTOGRAMS(STREAMGATE_HISTOGRAM)
      STREAMGATE_REASONS(STREAMGATE_FAILURE)
#undef STREAMGATE_FAILURE
#undef STREAMGATE_HISTOGRAM
#undef STREAMGATE_CELL
#undef STREAMGATE_ENUMERATOR
};

struct CounterInfo {
  Counter counter;
  std::string_view name;
  std::string_view help;    // one sentence
  std::string_view reason;  // the label of a failure counter: the reason's token; else empty
  bool is_cell = false;     // of a histogram
};

// In the order of Counter.
inline constexpr CounterInfo kCounters[] = {
#define STREAMGATE_INFO(name, help) {Counter::name, #name, help, {}},
#define STREAMGATE_CELL(name, cell) \
  {Counter::name##_ms_##cell, #name "_ms_" #cell, "A cell of a histogram.", {}, true},
#define STREAMGATE_HISTOGRAM(name, help) STREAMGATE_CELLS(STREAMGATE_CELL, name)
#define STREAMGATE_FAILURE(token, status, message) \
  {Counter::failed_##token, "failed_" #token, "Exchanges that failed, by reason.", #token},
    STREAMGATE_COUNTERS(STREAMGATE_INFO) STREAMGATE_HISTOGRAMS(STREAMGATE_HISTOGRAM)
        STREAMGATE_REASONS(STREAMGATE_FAILURE)
#undef STREAMGATE_FAILURE
#undef STREAMGATE_HISTOGRAM
#undef STREAMGATE_CELL
#undef STREAMGATE_INFO
};

inline constexpr size_t kCounterCount = std::size(kCounters);

constexpr size_t index_of(Counter counter) { return static_cast<size_t>(counter); }
constexpr const CounterInfo& info_of(Counter counter) { return kCounters[index_of(counter)]; }

// The counter of the exchanges that failed for that reason.
constexpr Counter failures_of(Reason reason) {
  return static_cast<Counter>(kCounterCount - kReasonCount + static_cast<size_t>(reason));
}

// The totals of one worker. The worker writes them, any process may read them.
class Counters {
 public:
  std::atomic<uint64_t>& operator[](Counter counter) { return values_[index_of(counter)]; }
  const std::atomic<uint64_t>& operator[](Counter counter) const {
    return values_[index_of(counter)];
  }

 private:
  std::array<std::atomic<uint64_t>, kCounterCount> values_{};
};

// Adds to a value that only this process writes: a load and a store, no locked instruction.
inline void count(std::atomic<uint64_t>& value, uint64_t amount = 1) {
  value.store(value.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}
inline void count(Counters& counters, Counter counter, uint64_t amount = 1) {
  count(counters[counter], amount);
}
// The same for a gauge that goes down.
inline void count_down(std::atomic<uint64_t>& gauge) {
  gauge.store(gauge.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
}

}  // namespace streamgate
