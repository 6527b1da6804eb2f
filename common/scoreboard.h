// The state of every worker, in shared memory that outlives the workers. Four parts:
//
//   Board         the service as a whole; only the master writes it
//   Assignment    one for each slot: whether a worker has it; only the master writes it
//   Column        one for each slot; only the worker that has the slot writes it
//   ArrivalTable  every worker writes it: limits by rate
//
// Every process may read all parts. A worker can write only its own column and the last part
// (Scoreboard::confine). The kernel enforces this, so a compromised worker can change nothing of
// other workers but the rates of clients.
//
// The master maps the scoreboard before the first fork, and only the master assigns slots. When a
// worker is gone, its counters are added to the retired ones and its column is cleared, so that
// total_of(), the sum of both, never falls.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "common/arrival_table.h"
#include "common/connection_table.h"
#include "common/counters.h"
#include "common/host_failures.h"
#include "common/keyed_counts.h"
#include "common/mark_table.h"
#include "common/published.h"
#include "common/result.h"
#include "common/service_facts.h"
#include "common/stream_table.h"
#include "common/unique_fd.h"

namespace streamgate {

enum class WorkerState : uint32_t { starting, ready, draining };

// `starting`, `ready`, `draining`; `?` for a number that is none of them.
std::string_view name_of(WorkerState state);

// The state of a worker for the master. All zero for a worker that has just been started.
struct alignas(64) Slot {
  std::atomic<WorkerState> state{WorkerState::starting};
  std::atomic<int64_t> beat_ms{0};  // CLOCK_MONOTONIC, written each second by the worker
  std::atomic<uint64_t> connections_now{0};
  std::atomic<uint64_t> idle_now{0};    // connections without a request; as of 100 ms ago
  std::atomic<uint64_t> wants_room{0};  // 1: waits until other workers close idle connections
  std::atomic<uint64_t> exchanges_now{0};
  std::atomic<uint32_t> pid{0};                 // these two: written when the worker starts
  std::atomic<int64_t> started_ms{0};           // CLOCK_MONOTONIC
  std::atomic<int64_t> certificates_expire{0};  // the first of them, seconds since 1970; 0: none
  std::atomic<uint64_t> upstream_connections_now{0};  // these two: as of 100 ms ago
  std::atomic<uint64_t> upstream_idle_now{0};
  std::atomic<uint64_t> cache_bytes_held{0};  // these two: as of 100 ms ago
  std::atomic<uint64_t> cache_leases_now{0};
  std::atomic<uint64_t> bytes_in_sockets{0};  // not acknowledged by clients; as of 1 s ago
  std::atomic<uint64_t> explains_now{0};      // 1: explains a URL for the admin listener
  Counters counters;
};

// How other workers tell that a worker hangs: it sets its beat every second, and the last one is
// older than 2.5 s. The master has a limit of its own (watchdog_timeout).
inline bool is_beat_late(const Slot& slot, int64_t now_ms) {
  constexpr int64_t kLateMs = 2'500;
  return now_ms - slot.beat_ms.load(std::memory_order_relaxed) >= kLateMs;
}

// A multiple of every page size of the supported machines (4, 16 and 64 KiB), so that each part has
// pages of its own. Pages that are never accessed take no memory.
constexpr size_t kScoreboardPage = size_t{64} * 1024;

constexpr size_t kServedTextBytes = 232;
constexpr size_t kServedStepBytes = 16;

// The request that the worker serves, or has served last:
// `127.0.0.1:4711 id=gk3w0x9q2c7rm GET http://a.example/x`.
// Written before the worker handles bytes of the request, so that it remains after a crash. Secrets
// in the URL are masked (log::redact). The master reads it only after the worker's death, and does
// not trust it.
struct alignas(64) ServedRequest {
  std::atomic<uint32_t> is_running{0};        // 1: in a callback of this request
  uint32_t size = 0;                          // of the text
  std::array<char, kServedStepBytes> step{};  // ends with a NUL
  std::array<char, kServedTextBytes> text{};
};

// The tables of one worker. A table is a member whose initial state is all zero: the master clears
// a dead worker's column without knowing what is in it.
struct alignas(kScoreboardPage) Column {
  Slot slot;
  ServedRequest served;
  // The connections of client addresses, and the streams of client addresses, tokens and keys.
  // Empty without limits for them.
  KeyedCounts client_counts;
  MarkTable down_origins;  // origins that could not be reached (worker/fetch/origin_marks.h)
  MarkTable kept_links;    // the URL that a link stays with, by index
  MarkTable identities;    // players that an origin serves although it refuses browsers
  ConnectionTable connections;
  StreamTable streams;  // live exchanges
  HostFailureTable host_failures;
};

struct Assignment {
  std::atomic<uint64_t> generation{0};  // of the worker; 0: no worker has the slot
};

// The state of the service as a whole.
struct alignas(kScoreboardPage) Board {
  std::atomic<bool> service_stopping{false};
  std::atomic<uint32_t> retirements{0};  // odd while a slot's counters are being moved
  // 1: the service is about to stop but still serves (drain.ready_delay). 64 bits: programs that do
  // not know the name expect this width.
  std::atomic<uint64_t> service_leaving{0};
  Counters retired;  // of all workers that are gone, and those of the master
  Published<ServiceFacts> facts;
};

// The scoreboard as every process may read it. `assignments` and `columns` have the slot's number
// as their index. Readers skip columns that no worker has: they are zero, and there are hundreds.
struct ScoreboardView {
  const Board& board;
  std::span<const Assignment> assignments;
  std::span<const Column> columns;

  size_t slot_count() const { return columns.size(); }
  bool is_live(size_t index) const {
    return assignments[index].generation.load(std::memory_order_relaxed) != 0;
  }
};

// One counter over all workers, living and gone. May be called by any process.
uint64_t total_of(Counter counter, const ScoreboardView& scoreboard);
// The same for all counters, as of one moment.
using Totals = std::array<uint64_t, kCounterCount>;
Totals totals_of(const ScoreboardView& scoreboard);

// Whether new clients are served: a worker is ready and has had a beat within `patience`, and no
// stop has been announced. May be called by any process.
bool is_ready(const ScoreboardView& scoreboard, int64_t now_ms, std::chrono::milliseconds patience);

// The offsets of the parts in a mapping with that many slots. The Board is at 0.
constexpr size_t kAssignmentsOffset = sizeof(Board);
size_t columns_offset(size_t slot_count);
size_t arrivals_offset(size_t slot_count);
size_t scoreboard_size(size_t slot_count);

// The mapping of a memory file that holds the scoreboard. The master makes it; a forked worker
// inherits it, calls confine(), and never unmaps it.
class Scoreboard {
 public:
  static Result<Scoreboard> create(size_t slot_count);
  // Maps the scoreboard that another program created, and changes nothing in it. Its layout must be
  // that of this program (master/process/scoreboard_layout.h). Closes the file on failure.
  static Result<Scoreboard> adopt(UniqueFd file, size_t slot_count);
  Scoreboard(Scoreboard&& other) noexcept;
  Scoreboard& operator=(Scoreboard&&) = delete;
  ~Scoreboard();

  Board& board() { return *board_; }
  const Board& board() const { return *board_; }
  Column& column(size_t index) { return columns_[index]; }
  const Column& column(size_t index) const { return columns_[index]; }
  ArrivalTable& arrivals() { return *arrivals_; }
  ScoreboardView view() const {
    return {*board_, {assignments_, slot_count_}, {columns_, slot_count_}};
  }
  size_t slot_count() const { return slot_count_; }
  // Close-on-exec, for a program that takes over; -1 after confine().
  int file() const { return file_.get(); }

  // Gives the lowest vacant slot to a worker of that generation (not 0), and sets its beat to now.
  // None if all slots are taken.
  std::optional<unsigned> take(uint64_t generation);
  // Adds the slot's counters to the retired ones, clears its column and makes it vacant. Its worker
  // must be gone.
  void retire(unsigned index);

  // Called in the worker process, while it still has the master's user: everything but this slot's
  // column and the arrivals becomes read-only at the same addresses, and the file is closed. The
  // pages are mapped again through a descriptor that was opened read-only, so that mprotect()
  // cannot undo it.
  Result<void> confine(unsigned index);

 private:
  Scoreboard(UniqueFd file, char* memory, size_t slot_count);

  UniqueFd file_;
  Board* board_;  // owned: the start of the mapping
  Assignment* assignments_;
  Column* columns_;
  ArrivalTable* arrivals_;
  size_t slot_count_;
};

}  // namespace streamgate
