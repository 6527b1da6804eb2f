// What the workers tell the master, in shared memory that survives each of them: one cache-line
// aligned slot per worker process. The master maps it before the first fork and is the only one to
// hand out slots; a worker writes only to its own. All counters only grow, `*_now` gauges excepted.
//
// A slot is used again when its worker is gone. Its counters are first added to the retired ones,
// so that the sum over both (total_of) never falls.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "common/result.h"
#include "common/unique_fd.h"

namespace streamgate {

enum class WorkerState : uint32_t { vacant, starting, ready, draining };

// `vacant`, `starting`, ...
std::string_view name_of(WorkerState state);

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
  std::atomic<uint64_t> bytes_spliced{0};  // of bytes_from_upstreams: never in our memory
  std::atomic<uint64_t> resumes_tried{0};  // requests for the rest of a body that was cut
  std::atomic<uint64_t> resumes_done{0};   // of those: the rest came

  // Exchanges that failed, by reason. Members and no array: every counter is reached by a pointer
  // to member, whatever it counts.
  std::atomic<uint64_t> failed_bad_request{0};
  std::atomic<uint64_t> failed_bad_url{0};
  std::atomic<uint64_t> failed_not_found{0};
  std::atomic<uint64_t> failed_method_not_allowed{0};
  std::atomic<uint64_t> failed_request_timeout{0};
  std::atomic<uint64_t> failed_body_not_accepted{0};
  std::atomic<uint64_t> failed_uri_too_long{0};
  std::atomic<uint64_t> failed_expectation_failed{0};
  std::atomic<uint64_t> failed_header_too_large{0};
  std::atomic<uint64_t> failed_not_implemented{0};
  std::atomic<uint64_t> failed_version_not_supported{0};
  std::atomic<uint64_t> failed_target_forbidden{0};
  std::atomic<uint64_t> failed_loop{0};
  std::atomic<uint64_t> failed_client_gone{0};
  std::atomic<uint64_t> failed_client_stalled{0};
  std::atomic<uint64_t> failed_client_too_slow{0};
  std::atomic<uint64_t> failed_dns_failed{0};
  std::atomic<uint64_t> failed_dns_timeout{0};
  std::atomic<uint64_t> failed_connect_failed{0};
  std::atomic<uint64_t> failed_connect_timeout{0};
  std::atomic<uint64_t> failed_tls_failed{0};
  std::atomic<uint64_t> failed_first_byte_timeout{0};
  std::atomic<uint64_t> failed_bad_response{0};
  std::atomic<uint64_t> failed_unsupported_coding{0};
  std::atomic<uint64_t> failed_too_many_redirects{0};
  std::atomic<uint64_t> failed_truncated_body{0};
  std::atomic<uint64_t> failed_idle_timeout{0};
  std::atomic<uint64_t> failed_upstream_too_slow{0};
  std::atomic<uint64_t> failed_overloaded{0};
  std::atomic<uint64_t> failed_stopping{0};
  std::atomic<uint64_t> failed_internal{0};
};

using CounterMember = std::atomic<uint64_t> Counters::*;

struct CounterInfo {
  std::string_view name;
  CounterMember member;
};

constexpr std::array<CounterInfo, 15> kGeneralCounters{{
    {"connections_accepted", &Counters::connections_accepted},
    {"connections_refused", &Counters::connections_refused},
    {"requests_refused", &Counters::requests_refused},
    {"exchanges_started", &Counters::exchanges_started},
    {"exchanges_failed", &Counters::exchanges_failed},
    {"bytes_to_clients", &Counters::bytes_to_clients},
    {"bytes_from_upstreams", &Counters::bytes_from_upstreams},
    {"upstream_connections_opened", &Counters::upstream_connections_opened},
    {"upstream_connections_reused", &Counters::upstream_connections_reused},
    {"playlists_rewritten", &Counters::playlists_rewritten},
    {"playlist_lines_too_long", &Counters::playlist_lines_too_long},
    {"access_lines_dropped", &Counters::access_lines_dropped},
    {"bytes_spliced", &Counters::bytes_spliced},
    {"resumes_tried", &Counters::resumes_tried},
    {"resumes_done", &Counters::resumes_done},
}};

// In the order of Reason, each name `failed_` and the reason's token (a test holds them together).
constexpr std::array<CounterInfo, kReasonCount> kFailureCounters{{
    {"failed_bad_request", &Counters::failed_bad_request},
    {"failed_bad_url", &Counters::failed_bad_url},
    {"failed_not_found", &Counters::failed_not_found},
    {"failed_method_not_allowed", &Counters::failed_method_not_allowed},
    {"failed_request_timeout", &Counters::failed_request_timeout},
    {"failed_body_not_accepted", &Counters::failed_body_not_accepted},
    {"failed_uri_too_long", &Counters::failed_uri_too_long},
    {"failed_expectation_failed", &Counters::failed_expectation_failed},
    {"failed_header_too_large", &Counters::failed_header_too_large},
    {"failed_not_implemented", &Counters::failed_not_implemented},
    {"failed_version_not_supported", &Counters::failed_version_not_supported},
    {"failed_target_forbidden", &Counters::failed_target_forbidden},
    {"failed_loop", &Counters::failed_loop},
    {"failed_client_gone", &Counters::failed_client_gone},
    {"failed_client_stalled", &Counters::failed_client_stalled},
    {"failed_client_too_slow", &Counters::failed_client_too_slow},
    {"failed_dns_failed", &Counters::failed_dns_failed},
    {"failed_dns_timeout", &Counters::failed_dns_timeout},
    {"failed_connect_failed", &Counters::failed_connect_failed},
    {"failed_connect_timeout", &Counters::failed_connect_timeout},
    {"failed_tls_failed", &Counters::failed_tls_failed},
    {"failed_first_byte_timeout", &Counters::failed_first_byte_timeout},
    {"failed_bad_response", &Counters::failed_bad_response},
    {"failed_unsupported_coding", &Counters::failed_unsupported_coding},
    {"failed_too_many_redirects", &Counters::failed_too_many_redirects},
    {"failed_truncated_body", &Counters::failed_truncated_body},
    {"failed_idle_timeout", &Counters::failed_idle_timeout},
    {"failed_upstream_too_slow", &Counters::failed_upstream_too_slow},
    {"failed_overloaded", &Counters::failed_overloaded},
    {"failed_stopping", &Counters::failed_stopping},
    {"failed_internal", &Counters::failed_internal},
}};

// Every counter by name: a member of Counters that has no row here would be lost when its worker
// leaves (checked at compile time in scoreboard.cc).
constexpr auto kCounters = [] {
  std::array<CounterInfo, kGeneralCounters.size() + kFailureCounters.size()> all{};
  size_t next = 0;
  for (const CounterInfo& general : kGeneralCounters) all[next++] = general;
  for (const CounterInfo& failure : kFailureCounters) all[next++] = failure;
  return all;
}();

inline std::atomic<uint64_t>& failures_of(Counters& counters, Reason reason) {
  return counters.*kFailureCounters[static_cast<size_t>(reason)].member;
}

// Adds to a counter that only this process writes: a plain load and store, no locked instruction.
inline void count(std::atomic<uint64_t>& counter, uint64_t amount = 1) {
  counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}
// The same for one that goes back, as what there is now does.
inline void count_down(std::atomic<uint64_t>& counter) {
  counter.store(counter.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
}

struct alignas(64) Slot {
  std::atomic<WorkerState> state{
      WorkerState::vacant};         // master: vacant, starting; worker: the rest
  std::atomic<int64_t> beat_ms{0};  // CLOCK_MONOTONIC, written each second by the worker
  std::atomic<uint64_t> connections_now{0};
  std::atomic<uint64_t> exchanges_now{0};
  Counters counters;
  // Written by the master when it hands the slot out.
  std::atomic<int32_t> pid{0};
  std::atomic<uint64_t> generation{0};
  std::atomic<int64_t> started_ms{0};  // CLOCK_MONOTONIC
};

// What belongs to the service and not to one worker. Written by the master alone.
struct alignas(64) Board {
  std::atomic<bool> service_stopping{false};
  std::atomic<uint32_t> retirements{0};  // odd while a slot's counters are being moved
  Counters retired;                      // of all workers that are gone
};

// One counter over all workers, living and gone. May be called by any process.
uint64_t total_of(CounterMember counter, const Board& board, std::span<const Slot> slots);

// Milliseconds of CLOCK_MONOTONIC: the clock of every time in the scoreboard.
int64_t monotonic_ms();

// Bytes of a mapping with that many slots: a Board, and the slots behind it.
size_t scoreboard_size(size_t slot_count);

// The mapping itself, of a memory file. Made by the master; a forked worker inherits it as it
// stands and never unmaps it.
class Scoreboard {
 public:
  static Result<Scoreboard> create(size_t slot_count);
  // Maps what another program has created, as it stands. Its layout must be the one of this program
  // (master/process/scoreboard_layout.h). Closes the file on failure.
  static Result<Scoreboard> adopt(UniqueFd file, size_t slot_count);
  Scoreboard(Scoreboard&& other) noexcept;
  Scoreboard& operator=(Scoreboard&&) = delete;
  ~Scoreboard();

  Board& board() { return *board_; }
  std::span<Slot> slots() { return {slots_, slot_count_}; }
  size_t slot_count() const { return slot_count_; }
  // Close-on-exec. Needed only for a program that takes over, so a worker may close it.
  int file() const { return file_.get(); }
  void close_file() { file_.reset(); }

  // The lowest vacant slot, cleared and `starting`, its beat set to now; none: all are taken.
  std::optional<unsigned> take();
  // Adds the slot's counters to the retired ones and makes it vacant. Its worker must be gone.
  void retire(unsigned index);

 private:
  Scoreboard(UniqueFd file, void* memory, size_t slot_count);

  UniqueFd file_;
  Board* board_;  // owned: the start of the mapping
  Slot* slots_;   // the rest of it
  size_t slot_count_;
};

}  // namespace streamgate
