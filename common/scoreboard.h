// What the workers tell the master, in shared memory that survives each of them: one cache-line
// aligned slot per worker process. The master maps it before the first fork and is the only one to
// hand out slots; a worker writes only to its own. All counters only grow, `*_now` gauges excepted.
//
// A slot is used again when its worker is gone. Its counters are first added to the retired ones,
// so that the sum over both (total_of) never falls.
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
uint64_t total_of(Counter counter, const Board& board, std::span<const Slot> slots);

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
  const Board& board() const { return *board_; }
  std::span<Slot> slots() { return {slots_, slot_count_}; }
  std::span<const Slot> slots() const { return {slots_, slot_count_}; }
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
