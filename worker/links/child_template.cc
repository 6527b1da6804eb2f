#include "worker/links/child_template.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "common/percent_table.h"

namespace streamgate {
namespace {

// A byte that is encoded as itself and, unlike a dot, has no meaning of its own.
bool is_plain(char c) { return (percent_entry(c).size_and_class & 3) == 1 && c != '.'; }

// The first byte is in the lowest bits, as on a little-endian machine.
uint64_t word_at(const char* from) {
  uint64_t word = 0;
  std::memcpy(&word, from, sizeof word);
  return std::endian::native == std::endian::little ? word : __builtin_bswap64(word);
}

}  // namespace

void ChildTemplate::learn(std::string_view reference, std::string_view child, size_t encoded_at) {
  forget();
  if (reference.size() < kWord || reference.size() > reference_.size()) return;
  if (child.size() > child_.size()) return;
  size_t place = encoded_at;
  for (size_t i = 0; i < reference.size(); ++i) {
    place_[i] = is_plain(reference[i]) ? static_cast<uint16_t>(place) : uint16_t{0};
    place += percent_entry(reference[i]).size_and_class & 3;
  }
  std::memcpy(reference_.data(), reference.data(), reference.size());
  std::memcpy(child_.data(), child.data(), child.size());
  size_ = reference.size();
  child_size_ = child.size();
}

void ChildTemplate::fix(size_t from, size_t to) {
  for (size_t i = from; i < std::min(to, size_); ++i) place_[i] = 0;
}

bool ChildTemplate::append(std::string_view reference, BlockBuffer& out) {
  if (reference.size() != size_ || size_ == 0) return false;
  char* const copy = out.room(child_size_);
  std::memcpy(copy, child_.data(), child_size_);
  for (size_t at = 0; at < size_; at += kWord) {
    const size_t start = std::min(at, size_ - kWord);
    if (!patch_word(reference.data() + start, start, copy)) return false;
  }
  out.advance_to(copy + child_size_);
  return true;
}

// The template is patched too, because neighbouring references differ least. After false the
// template is still a valid child URL, of a reference that has some bytes of each of the two.
bool ChildTemplate::patch_word(const char* word, size_t at, char* copy) {
  for (uint64_t changed = word_at(word) ^ word_at(reference_.data() + at); changed != 0;) {
    const auto bit = static_cast<size_t>(std::countr_zero(changed)) & ~size_t{7};
    changed &= ~(uint64_t{0xff} << bit);
    const char c = word[bit / 8];
    const size_t i = at + bit / 8;
    if (place_[i] == 0 || !is_plain(c)) return false;
    copy[place_[i]] = child_[place_[i]] = reference_[i] = c;
  }
  return true;
}

}  // namespace streamgate
