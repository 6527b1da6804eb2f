// The scoreboard of a program with another layout, kept until the workers that write to it have
// left. The master copies what they tell into a slot of its own scoreboard, so that nobody else has
// to know of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "common/result.h"
#include "common/scoreboard.h"
#include "common/unique_fd.h"
#include "master/process/scoreboard_layout.h"

namespace streamgate {

class ForeignScoreboard {
 public:
  // Maps it; closes the file on failure.
  static Result<ForeignScoreboard> open(UniqueFd file, ScoreboardLayout layout);
  ForeignScoreboard(ForeignScoreboard&& other) noexcept;
  ForeignScoreboard& operator=(ForeignScoreboard&&) = delete;
  ~ForeignScoreboard();

  int file() const { return file_.get(); }
  const ScoreboardLayout& layout() const { return layout_; }

  // Copies what stands in its slot `index` into `slot`, name by name; a counter that only one of
  // both programs has is left out.
  void mirror(unsigned index, Slot& slot) const;
  // Adds the counters of workers that were gone before to those of `board`.
  void hand_on_retired(Board& board) const;
  // So that its workers answer as those of a service that stops.
  void say_service_stops();

 private:
  ForeignScoreboard(UniqueFd file, ScoreboardLayout layout, char* memory)
      : file_(std::move(file)), layout_(std::move(layout)), memory_(memory) {}

  // The value of that name from `base` on, or `otherwise` if that program does not have it.
  template <class T>
  T read(const char* base, const std::string& name, T otherwise) const;

  UniqueFd file_;
  ScoreboardLayout layout_;
  char* memory_;  // owned mapping of layout_.size bytes
};

}  // namespace streamgate
