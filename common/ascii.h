// Locale-free text helpers for protocol bytes. Only ASCII letters have a case.
#pragma once

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace streamgate::ascii {

constexpr char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// The value of a hexadecimal digit; -1 for any other byte.
constexpr int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  const char lower = to_lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

namespace detail {

constexpr unsigned kCaseBit = 0x20;  // the only difference between the cases of a letter

// The bits in which the texts differ, or-ed over words that cover both. size >= sizeof(Word).
template <class Word>
Word differing_bits(const char* a, const char* b, size_t size) {
  const auto word_at = [](const char* from) {
    Word word;
    std::memcpy(&word, from, sizeof word);
    return word;
  };
  const size_t last = size - sizeof(Word);
  Word bits = word_at(a + last) ^ word_at(b + last);
  for (size_t i = 0; i < last; i += sizeof(Word)) bits |= word_at(a + i) ^ word_at(b + i);
  return bits;
}

constexpr bool iequals_by_byte(const char* a, const char* b, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    if (to_lower(a[i]) != to_lower(b[i])) return false;
  }
  return true;
}

// Nearly all texts of equal length are equal with their case, or differ in more than case.
template <class Word>
bool iequals_by_word(const char* a, const char* b, size_t size) {
  constexpr Word kCaseBits = static_cast<Word>(~Word{0}) / 0xff * kCaseBit;
  const Word bits = differing_bits<Word>(a, b, size);
  if (bits == 0) return true;
  return (bits & ~kCaseBits) == 0 && iequals_by_byte(a, b, size);
}

}  // namespace detail

constexpr bool iequals(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  if (a.empty()) return true;
  // Field names of equal length nearly always differ in the first byte.
  const auto first_bits = static_cast<unsigned char>(a.front() ^ b.front());
  if ((first_bits & ~detail::kCaseBit) != 0) return false;
  if (!std::is_constant_evaluated()) {
    if (a.size() >= 8) return detail::iequals_by_word<uint64_t>(a.data(), b.data(), a.size());
    if (a.size() >= 4) return detail::iequals_by_word<uint32_t>(a.data(), b.data(), a.size());
  }
  return detail::iequals_by_byte(a.data(), b.data(), a.size());
}

constexpr bool istarts_with(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && iequals(text.substr(0, prefix.size()), prefix);
}

constexpr bool iends_with(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && iequals(text.substr(text.size() - suffix.size()), suffix);
}

// Whether more bytes could complete `text` to `whole`.
constexpr bool may_become(std::string_view text, std::string_view whole) {
  return text.size() < whole.size() && whole.starts_with(text);
}

inline std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = to_lower(c);
  return out;
}

// Without blanks and tabs (HTTP's OWS) at both ends.
constexpr std::string_view trim(std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// Takes the next word from the front of `line`, with the blanks, tabs and carriage returns before
// it. Empty if there is none.
constexpr std::string_view take_word(std::string_view& line) {
  constexpr std::string_view kBlanks = " \t\r";
  const size_t begin = line.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  line.remove_prefix(begin);
  const std::string_view word = line.substr(0, line.find_first_of(kBlanks));
  line.remove_prefix(word.size());
  return word;
}

#ifdef __SSE2__
// For each byte all bits if it is one of the `size` bytes from `first` on, else 0.
inline __m128i within(__m128i bytes, char first, char size) {
  const __m128i offset = _mm_sub_epi8(bytes, _mm_set1_epi8(first));
  const __m128i last = _mm_set1_epi8(static_cast<char>(size - 1));
  return _mm_cmpeq_epi8(_mm_min_epu8(offset, last), offset);  // offset <= last, unsigned
}
#endif

// The index of the first of the `Stops` in `text` at or after `from`, or npos. For short texts such
// as URLs and names, where find_first_of() is slow: it calls memchr for every byte.
template <char... Stops>
constexpr size_t find_any(std::string_view text, size_t from = 0) {
  size_t i = from;
#ifdef __SSE2__
  if (!std::is_constant_evaluated() && text.size() >= 16) {
    const auto hits_at = [text](size_t at) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + at));
      __m128i hits = _mm_setzero_si128();
      ((hits = _mm_or_si128(hits, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(Stops)))), ...);
      return static_cast<unsigned>(_mm_movemask_epi8(hits));
    };
    for (; i + 16 <= text.size(); i += 16) {
      const unsigned hits = hits_at(i);
      if (hits != 0) return i + static_cast<size_t>(std::countr_zero(hits));
    }
    if (i >= text.size()) return std::string_view::npos;
    // The last block overlaps bytes that have been searched already, or that are before `from`.
    const size_t last = text.size() - 16;
    const unsigned hits = hits_at(last) >> (i - last);
    return hits == 0 ? std::string_view::npos : i + static_cast<size_t>(std::countr_zero(hits));
  }
#endif
  for (; i < text.size(); ++i) {
    if (((text[i] == Stops) || ...)) return i;
  }
  return std::string_view::npos;
}

// Digits only; nullopt if `text` is empty, has a sign or a blank, or overflows.
inline std::optional<uint64_t> parse_uint(std::string_view text) {
  if (text.empty() || !is_digit(text.front())) return std::nullopt;
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace streamgate::ascii
