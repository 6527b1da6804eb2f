// A text that is copied with a few replacements.
#pragma once

#include <cstddef>
#include <string_view>

#include "worker/loop/block_buffer.h"

namespace streamgate {

// Copies a text of which a few pieces are replaced or left out, in order. The text between two
// pieces is appended in one go.
class PatchedCopy {
 public:
  PatchedCopy(std::string_view text, BlockBuffer& out)
      : copied_to_(text.data()), end_(text.data() + text.size()), out_(out) {}

  BlockBuffer& out() { return out_; }
  // Appends the text before `here`.
  void copy_until(const char* here) {
    out_.append({copied_to_, static_cast<size_t>(here - copied_to_)});
    copied_to_ = here;
  }
  void leave_out_until(const char* here) { copied_to_ = here; }
  void leave_out(const char* from, const char* to) {
    if (copied_to_ < from) copy_until(from);
    copied_to_ = to;
  }
  void copy_rest() { copy_until(end_); }

 private:
  const char* copied_to_;
  const char* end_;
  BlockBuffer& out_;
};

}  // namespace streamgate
