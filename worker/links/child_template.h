// A child URL as the template for references that differ from its own only in letters and digits of
// path and query, as nearly all segments of a long playlist do. Copying and patching child URLs
// takes 0.5 ms for 20,000 segments; making them takes 0.9 ms, or 1.5 ms if each segment has its own
// directory.
//
// The template copies the parameters too. That is right because they depend on nothing but the
// host, which is fixed. Parameters that depend on the directory (a grant) need the directory to be
// fixed as well; then the template still serves all segments of one directory.
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

  // Makes `child`, the child URL of `reference`, the template. The encoded reference begins at
  // `encoded_at` in it. If either is too long, or the reference is shorter than 8 bytes, there is
  // no template afterwards.
  void learn(std::string_view reference, std::string_view child, size_t encoded_at);
  // References that differ in the bytes [from, to) do not match any more, because another byte
  // there changes more of the child URL than itself. Dots and bytes that are percent-encoded are
  // always fixed.
  void fix(size_t from, size_t to);

  // Appends the child URL of `reference`. False, with nothing appended, if it does not match.
  bool append(std::string_view reference, BlockBuffer& out);

 private:
  static constexpr size_t kWord = sizeof(uint64_t);
  static constexpr size_t kMaxReferenceBytes = 256;
  static constexpr size_t kMaxChildBytes = 1024;

  bool patch_word(const char* word, size_t at, char* copy);

  std::array<char, kMaxReferenceBytes> reference_;
  std::array<uint16_t, kMaxReferenceBytes> place_;  // in the child URL; 0: fixed
  std::array<char, kMaxChildBytes> child_;
  size_t size_ = 0;  // of the reference; 0: there is no template
  size_t child_size_ = 0;
};

}  // namespace streamgate
