// Scans elements without content, for segment_run.cc and plain_element.cc. A scan returns null if
// the element needs the parser.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "common/ascii.h"

namespace streamgate::element_scan {

constexpr bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

inline const char* skip_blanks(const char* at, const char* end) {
  while (at != end && is_blank(*at)) ++at;
  return at;
}

// The bytes of a reference that need not be looked at: no escapes, no scheme, no query.
inline constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> out{};
  for (unsigned char c = '0'; c <= '9'; ++c) out[c] = true;
  for (unsigned char c = 'A'; c <= 'Z'; ++c) out[c] = out[c + ('a' - 'A')] = true;
  for (const unsigned char c : {'-', '_', '.', '/', '=', ',', '+', '~', '@'}) out[c] = true;
  return out;
}();

inline const char* skip_digits(const char* at, const char* end) {
  while (at != end && ascii::is_digit(*at)) ++at;
  return at;
}

// An attribute that an element may have.
struct Found {
  uint64_t bit;  // of its own
  size_t size;   // of the name and the equals sign
  const char* (*skip_value)(const char* at, const char* end);
};

// Returns the position after the attributes and the end of an empty element, or null for anything
// else. `attribute_at(text)` returns the attribute that `text` begins with.
template <class AttributeAt>
const char* skip_attributes(const char* at, const char* end, AttributeAt attribute_at) {
  uint64_t seen = 0;
  for (;;) {
    const char* const begin = skip_blanks(at, end);
    if (end - begin < 2) return nullptr;
    if (*begin == '/') return begin[1] == '>' ? begin + 2 : nullptr;
    if (begin == at) return nullptr;  // no blank before it
    const std::optional<Found> found = attribute_at({begin, static_cast<size_t>(end - begin)});
    if (!found || (seen & found->bit) != 0) return nullptr;
    seen |= found->bit;
    at = begin + found->size;
    if (at == end || (*at != '"' && *at != '\'')) return nullptr;
    const char quote = *at;
    at = found->skip_value(at + 1, end);
    if (at == nullptr || at == end || *at != quote) return nullptr;
    ++at;
  }
}

}  // namespace streamgate::element_scan
