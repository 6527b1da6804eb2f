// Appends text to an evbuffer through large reserved blocks: one libevent call per block instead of
// one per piece.
//
// Level 1: evbuffers, but no socket and no event loop.
#pragma once

#include <event2/buffer.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "common/check.h"

namespace streamgate {

// Nobody else may touch `out` while a writer of it lives; what was written becomes visible when the
// writer dies.
class BlockWriter {
 public:
  // `expected_bytes` sizes the first block, so that a small document does not hold a large one.
  BlockWriter(evbuffer* out, size_t expected_bytes)
      : out_(out),
        block_bytes_(std::clamp(expected_bytes, kSmallestBlock, kLargestBlock)),
        committed_(evbuffer_get_length(out)) {}
  ~BlockWriter() { commit(); }
  BlockWriter(const BlockWriter&) = delete;
  BlockWriter& operator=(const BlockWriter&) = delete;

  // At least `size` free bytes in a row; valid until the next call.
  char* room(size_t size) {
    if (static_cast<size_t>(limit_ - cursor_) < size) grow(size);
    return cursor_;
  }
  // Everything up to `end`, which lies within the room, has been written.
  void advance_to(char* end) { cursor_ = end; }

  // How much `out` holds by now, but for the block that is being written.
  size_t committed() const { return committed_; }

  void append(std::string_view text) {
    while (!text.empty()) {
      if (cursor_ == limit_) grow(1);
      const size_t size = std::min(text.size(), static_cast<size_t>(limit_ - cursor_));
      std::memcpy(cursor_, text.data(), size);
      cursor_ += size;
      text.remove_prefix(size);
    }
  }

 private:
  // Just below a power of two: libevent adds a header and rounds up to one.
  static constexpr size_t kSmallestBlock = 1024 - 128;
  static constexpr size_t kLargestBlock = 64 * 1024 - 128;

  void grow(size_t size) {
    commit();
    const auto wanted = static_cast<ev_ssize_t>(std::max(size, block_bytes_));
    // Out of memory: the worker ends here and is respawned, which is the only bounded answer.
    CHECK(evbuffer_reserve_space(out_, wanted, &block_, 1) == 1);
    cursor_ = static_cast<char*>(block_.iov_base);
    limit_ = cursor_ + block_.iov_len;
  }

  void commit() {
    if (cursor_ == nullptr) return;
    block_.iov_len = static_cast<size_t>(cursor_ - static_cast<char*>(block_.iov_base));
    CHECK(evbuffer_commit_space(out_, &block_, 1) == 0);
    committed_ += block_.iov_len;
    cursor_ = limit_ = nullptr;
  }

  evbuffer* out_;  // the caller's
  size_t block_bytes_;
  size_t committed_;
  evbuffer_iovec block_{};
  char* cursor_ = nullptr;  // null: nothing is reserved
  char* limit_ = nullptr;
};

}  // namespace streamgate
