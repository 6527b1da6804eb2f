// A text in one growing block of memory. clear() keeps the memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "worker/loop/piecewise_text.h"

namespace streamgate {

class TextBuffer final : public PiecewiseText {
 public:
  // Valid until the next call that changes the buffer.
  std::string_view text() const { return {memory_.get(), size()}; }
  size_t size() const { return static_cast<size_t>(end_ - memory_.get()); }
  void clear() { end_ = memory_.get(); }

 private:
  size_t capacity() const { return static_cast<size_t>(limit_ - memory_.get()); }
  static constexpr size_t kFirstBytes = size_t{4} * 1024;

  void grow(size_t more) override {
    const size_t used = size();
    const size_t larger = std::max({kFirstBytes, 2 * capacity(), used + more});
    std::unique_ptr<char[]> memory(new char[larger]);
    if (used != 0) std::memcpy(memory.get(), memory_.get(), used);
    memory_ = std::move(memory);
    end_ = memory_.get() + used;
    limit_ = memory_.get() + larger;
  }

  std::unique_ptr<char[]> memory_;
};

}  // namespace streamgate
