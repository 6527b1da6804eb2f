// What the workers tell the master, in shared memory that survives each of them: one cache-line
// aligned slot per worker process. The master maps it before the first fork and is the only one to
// hand out slots; a worker writes only to its own. All counters only grow, `*_now` gauges excepted.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "common/result.h"

namespace streamgate {

enum class WorkerState : uint32_t { vacant, starting, ready, draining };

// Totals of one worker. Written by the worker with relaxed stores, read by anyone.
struct Counters {
  std::atomic<uint64_t> connections_accepted{0};
  std::atomic<uint64_t> connections_refused{0};  // over limits.connections
  std::atomic<uint64_t> requests_refused{0};     // by the gate: malformed, too large, too late
  std::atomic<uint64_t> exchanges_started{0};
  std::atomic<uint64_t> exchanges_failed{0};  // ended with a reason other than ok
  std::atomic<uint64_t> bytes_to_clients{0};
  std::atomic<uint64_t> bytes_from_upstreams{0};
  std::atomic<uint64_t> upstream_connections_opened{0};
  std::atomic<uint64_t> upstream_connections_reused{0};
  std::atomic<uint64_t> playlists_rewritten{0};
  std::atomic<uint64_t> playlist_lines_too_long{0};
  std::atomic<uint64_t> access_lines_dropped{0};
};

// Adds to a counter that only this process writes: a plain load and store, no locked instruction.
inline void count(std::atomic<uint64_t>& counter, uint64_t amount = 1) {
  counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

struct alignas(64) Slot {
  std::atomic<WorkerState> state{
      WorkerState::vacant};         // master: vacant, starting; worker: the rest
  std::atomic<int64_t> beat_ms{0};  // CLOCK_MONOTONIC, written each second by the worker
  std::atomic<uint64_t> connections_now{0};
  std::atomic<uint64_t> exchanges_now{0};
  Counters counters;
};

}  // namespace streamgate
