// The state of every worker, in shared memory that outlives the workers: one cache-line aligned
// slot for each worker process. The master maps it before the first fork, and only the master
// assigns slots. A worker writes to its own slot only. Counters grow; `*_now` are gauges.
//
// When a worker is gone, its slot is used again. The slot's counters are first added to the retired
// ones, so that total_of(), the sum of both, never falls.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "common/counters.h"
#include "common/result.h"
#include "common/unique_fd.h"

namespace streamgate {

enum class WorkerState : uint32_t { vacant, starting, ready, draining };

// `vacant`, `starting`, ...
std::string_view name_of(WorkerState state);

struct alignas(64) Slot {
  // The master writes vacant and starting, the worker the other states.
  std::atomic<WorkerState> state{WorkerState::vacant};
  std::atomic<int64_t> beat_ms{0};  // CLOCK_MONOTONIC, written each second by the worker
  std::atomic<uint64_t> connections_now{0};
  std::atomic<uint64_t> exchanges_now{0};
  Counters counters;
  // Written by the master when it assigns the slot.
  std::atomic<int32_t> pid{0};
  std::atomic<uint64_t> generation{0};
  std::atomic<int64_t> started_ms{0};  // CLOCK_MONOTONIC
};

// The state of the service as a whole. Only the master writes it.
struct alignas(64) Board {
  std::atomic<bool> service_stopping{false};
  std::atomic<uint32_t> retirements{0};  // odd while a slot's counters are being moved
  Counters retired;                      // of all workers that are gone
};

// One counter over all workers, living and gone. May be called by any process.
uint64_t total_of(Counter counter, const Board& board, std::span<const Slot> slots);

// Bytes of a mapping with that many slots: a Board, then the slots.
size_t scoreboard_size(size_t slot_count);

// The mapping of a memory file that holds the scoreboard. The master makes it; a forked worker
// inherits it and never unmaps it.
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
  std::span<Slot> slots() { return {slots_, slot_count_}; }
  std::span<const Slot> slots() const { return {slots_, slot_count_}; }
  size_t slot_count() const { return slot_count_; }
  // Close-on-exec. Only a program that takes over needs it, so a worker may close it.
  int file() const { return file_.get(); }
  void close_file() { file_.reset(); }

  // The lowest vacant slot, now `starting` with its beat set to now; none if all are taken.
  std::optional<unsigned> take();
  // Adds the slot's counters to the retired ones and makes it vacant. Its worker must be gone.
  void retire(unsigned index);

 private:
  Scoreboard(UniqueFd file, void* memory, size_t slot_count);

  UniqueFd file_;
  Board* board_;  // owned: the start of the mapping
  Slot* slots_;   // the rest of the mapping
  size_t slot_count_;
};

}  // namespace streamgate
