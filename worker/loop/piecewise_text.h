// Appends pieces to a text. The functions are inline because they run for every piece of a head, of
// a playlist and of an access-log line. The memory belongs to the derived classes:
// worker/http/head_writer.h, worker/loop/block_buffer.h, worker/loop/text_buffer.h.
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

namespace streamgate {

class PiecewiseText {
 public:
  virtual ~PiecewiseText() = default;
  PiecewiseText(const PiecewiseText&) = delete;  // a copy would point into the original
  PiecewiseText& operator=(const PiecewiseText&) = delete;

  // At least `size` free bytes in a row; valid until the next call.
  char* room(size_t size) {
    if (static_cast<size_t>(limit_ - end_) < size) grow(size);
    return end_;
  }
  // The caller has written the room up to `end`.
  void advance_to(char* end) { end_ = end; }

  // Always inline, so that the size of a constant piece is known at compile time.
  [[gnu::always_inline]] void append(std::string_view text) {
    if (text.empty()) return;
    std::memcpy(room(text.size()), text.data(), text.size());
    end_ += text.size();
  }

  // Appends the pieces in a row, with one check of the room.
  template <class... Pieces>
  [[gnu::always_inline]] void append_row(const Pieces&... pieces) {
    char* at = room((pieces.size() + ...));
    const auto copy = [&at](std::string_view piece) {
      if (piece.empty()) return;  // its data may be null
      std::memcpy(at, piece.data(), piece.size());
      at += piece.size();
    };
    (copy(pieces), ...);
    end_ = at;
  }

 protected:
  PiecewiseText() = default;

  // Makes at least `more` bytes free between end_ and limit_.
  virtual void grow(size_t more) = 0;

  char* end_ = nullptr;    // of the written text
  char* limit_ = nullptr;  // of the memory
};

}  // namespace streamgate
