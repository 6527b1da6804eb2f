// Where the next piece of a text goes: the few instructions, inline, that every piece of a head, of
// a playlist and of an access-log line passes through. The memory is a derived class's:
// worker/http/head_writer.h, worker/loop/block_buffer.h, worker/loop/text_buffer.h.
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

namespace streamgate {

class PiecewiseText {
 public:
  virtual ~PiecewiseText() = default;
  PiecewiseText(const PiecewiseText&) = delete;  // both pointers would be the other's
  PiecewiseText& operator=(const PiecewiseText&) = delete;

  // At least `size` free bytes in a row; valid until the next call.
  char* room(size_t size) {
    if (static_cast<size_t>(limit_ - end_) < size) grow(size);
    return end_;
  }
  // Everything up to `end`, which lies within the room, has been written.
  void advance_to(char* end) { end_ = end; }

  // Inline for the many constant pieces.
  [[gnu::always_inline]] void append(std::string_view text) {
    if (text.empty()) return;
    std::memcpy(room(text.size()), text.data(), text.size());
    end_ += text.size();
  }

 protected:
  PiecewiseText() = default;

  // Sees to at least `more` bytes between end_ and limit_.
  virtual void grow(size_t more) = 0;

  char* end_ = nullptr;    // of what was written
  char* limit_ = nullptr;  // of the room behind it
};

}  // namespace streamgate
