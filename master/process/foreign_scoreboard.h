// The scoreboard of a program with another layout, mapped until the workers that write to it have
// left. The master copies each of their slots into a slot of its own scoreboard, so that all other
// code reads one scoreboard only. Runs in the master.
#pragma once

#include <cstdint>
#include <string>

#include "common/result.h"
#include "common/scoreboard.h"
#include "common/unique_fd.h"
#include "master/process/scoreboard_layout.h"

namespace streamgate {

class ForeignScoreboard {
 public:
  // Maps the file, and closes it on failure.
  static Result<ForeignScoreboard> open(UniqueFd file, ScoreboardLayout layout);
  ForeignScoreboard(ForeignScoreboard&& other) noexcept;
  ForeignScoreboard& operator=(ForeignScoreboard&&) = delete;
  ~ForeignScoreboard();

  int file() const { return file_.get(); }
  const ScoreboardLayout& layout() const { return layout_; }

  // Copies its slot `index` into `slot`, name by name. A counter that only one of the two programs
  // has is left out.
  void mirror(unsigned index, Slot& slot) const;
  // The start time of the worker in slot `index` (CLOCK_MONOTONIC); `otherwise` if the scoreboard
  // does not have it.
  int64_t started_ms(unsigned index, int64_t otherwise) const;
  // Adds the counters of its workers that have ended to the retired ones of `board`.
  void add_retired_to(Board& board) const;
  // Tells its workers that the whole service stops: their /health answers 503.
  void announce_stop();

 private:
  ForeignScoreboard(UniqueFd file, ScoreboardLayout layout, char* memory)
      : file_(std::move(file)), layout_(std::move(layout)), memory_(memory) {}

  const char* slot_at(unsigned index) const;
  // The value called `name` in the part that starts at `base`; `otherwise` if the layout has none.
  template <class T>
  T read(const char* base, const std::string& name, T otherwise) const;

  UniqueFd file_;
  ScoreboardLayout layout_;
  char* memory_;  // owned mapping of layout_.size bytes
};

}  // namespace streamgate
