// The child URL of one reference, for those that differ from it in a few letters or digits only:
// nearly all segments of a long playlist do. Such a child URL is copied and patched, which costs
// half of making it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "worker/loop/block_buffer.h"

namespace streamgate {

class ChildTemplate {
 public:
  void forget() { size_ = 0; }

  // From here on `child` is the child URL of `reference`, which stands encoded at its `encoded_at`.
  // One that is too short or too long is forgotten instead.
  void learn(std::string_view reference, std::string_view child, size_t encoded_at);
  // References that differ from it in [from, to) are not of the kind: another byte there would
  // change more of the child URL than itself. Dots and what has to be encoded never may change.
  void fix(size_t from, size_t to);

  // True if `reference` is of that kind: its child URL was appended. Otherwise nothing was.
  bool append(std::string_view reference, BlockBuffer& out);

 private:
  static constexpr size_t kWord = sizeof(uint64_t);
  static constexpr size_t kLongestReference = 256;
  static constexpr size_t kLongestChild = 1024;

  bool patch_word(const char* word, size_t at, char* copy);

  std::array<char, kLongestReference> reference_;
  std::array<uint16_t, kLongestReference> place_;  // in the child URL; 0: is fixed
  std::array<char, kLongestChild> child_;
  size_t size_ = 0;  // of the reference; 0: there is none
  size_t child_size_ = 0;
};

}  // namespace streamgate
