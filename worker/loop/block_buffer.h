// An evbuffer that is filled through large reserved blocks: one libevent call for each block
// instead of one for each piece of text.
//
// Needs no socket and no event loop.
#pragma once

#include <event2/buffer.h>

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "common/check.h"
#include "worker/loop/event.h"
#include "worker/loop/piecewise_text.h"

namespace streamgate {

class BlockBuffer final : public PiecewiseText {
 public:
  BlockBuffer() : buffer_(evbuffer_new()) { CHECK(buffer_); }

  size_t size() const {
    return committed_ + static_cast<size_t>(end_ - static_cast<char*>(block_.iov_base));
  }

  // Passes the whole text to `taker(evbuffer*)`, which may drain any part of it. The buffer is
  // empty afterwards.
  template <class Taker>
  auto hand_over(Taker&& taker) {
    commit();
    auto result = taker(buffer_.get());
    clear();
    return result;
  }

  // Passes the whole text to `taker(evbuffer*)`. Text that is not drained stays.
  template <class Taker>
  void offer(Taker&& taker) {
    commit();
    taker(buffer_.get());
    committed_ = evbuffer_get_length(buffer_.get());
  }

  // The whole text; valid until the next call that changes the buffer.
  std::string_view text() {
    commit();
    const unsigned char* bytes = evbuffer_pullup(buffer_.get(), -1);
    return {reinterpret_cast<const char*>(bytes), bytes == nullptr ? 0 : committed_};
  }

  // Gives the memory back.
  void clear() {
    commit();
    evbuffer_drain(buffer_.get(), evbuffer_get_length(buffer_.get()));
    committed_ = 0;
  }

 private:
  // Just below a power of two: libevent adds a header and rounds up to the next power.
  static constexpr size_t kMinBlock = size_t{4} * 1024 - 128;
  static constexpr size_t kMaxBlock = size_t{64} * 1024 - 128;

  void grow(size_t more) override {
    commit();
    const size_t block = std::clamp(2 * committed_, kMinBlock, kMaxBlock);
    // Out of memory: the worker ends here, and the master starts a new one.
    CHECK(evbuffer_reserve_space(buffer_.get(), static_cast<ev_ssize_t>(std::max(more, block)),
                                 &block_, 1) == 1);
    end_ = static_cast<char*>(block_.iov_base);
    limit_ = end_ + block_.iov_len;
  }

  // Adds the written bytes to the evbuffer and ends the reservation.
  void commit() {
    if (block_.iov_base == nullptr) return;
    block_.iov_len = static_cast<size_t>(end_ - static_cast<char*>(block_.iov_base));
    CHECK(evbuffer_commit_space(buffer_.get(), &block_, 1) == 0);
    committed_ += block_.iov_len;
    block_ = {};
    end_ = limit_ = nullptr;
  }

  Buffer buffer_;
  size_t committed_ = 0;  // bytes in buffer_; later ones are in block_, up to end_
  evbuffer_iovec block_{};
};

}  // namespace streamgate
