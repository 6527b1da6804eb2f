// The small grammars of RFC 9110 and RFC 9112 that both parsers and the header rules share: classes
// of bytes, tokens, comma lists, Host and Connection.
#pragma once

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

#include "common/ascii.h"

namespace streamgate::http {

enum ByteClass : uint8_t {
  kTokenByte = 1,   // tchar (RFC 9110 5.6.2): methods and field names
  kFieldByte = 2,   // field values (RFC 9110 5.5): visible, obs-text, blank, tab
  kTargetByte = 4,  // visible ASCII: request targets
  kHostByte = 8,    // unreserved, sub-delims and `%`: a reg-name (RFC 3986 3.2.2)
};

namespace detail {

constexpr std::array<uint8_t, 256> classify_bytes() {
  constexpr std::string_view kTokenMarks = "!#$%&'*+-.^_`|~";
  constexpr std::string_view kHostMarks = "-._~%!$&'()*+,;=";
  std::array<uint8_t, 256> classes{};
  for (unsigned i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    const bool alphanumeric = ascii::is_alpha(c) || ascii::is_digit(c);
    unsigned bits = 0;
    if (alphanumeric || kTokenMarks.find(c) != std::string_view::npos) bits |= kTokenByte;
    if (alphanumeric || kHostMarks.find(c) != std::string_view::npos) bits |= kHostByte;
    if ((i >= 0x20 && i != 0x7f) || c == '\t') bits |= kFieldByte;
    if (i > 0x20 && i < 0x7f) bits |= kTargetByte;
    classes[i] = static_cast<uint8_t>(bits);
  }
  return classes;
}

inline constexpr std::array<uint8_t, 256> kByteClasses = classify_bytes();

}  // namespace detail

constexpr bool is(ByteClass wanted, char c) {
  return (detail::kByteClasses[static_cast<unsigned char>(c)] & wanted) != 0;
}

constexpr bool all_are(ByteClass wanted, std::string_view text) {
  for (const char c : text) {
    if (!is(wanted, c)) return false;
  }
  return true;
}

#ifdef __SSE2__
namespace detail {

// Whether `has_other(block)` is false for blocks of 16 bytes that cover `text`. size >= 16.
template <class HasOther>
bool no_block(std::string_view text, HasOther has_other) {
  const auto load = [](const char* from) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  };
  const char* const last = text.data() + text.size() - 16;
  for (const char* from = text.data(); from < last; from += 16) {
    if (has_other(load(from))) return false;
  }
  return !has_other(load(last));
}

}  // namespace detail
#endif

// all_are(kFieldByte, value), 16 bytes at a time: it runs for every field of a head.
inline bool is_field_value(std::string_view value) {
#ifdef __SSE2__
  if (value.size() >= 16) {
    return detail::no_block(value, [](__m128i bytes) {
      const __m128i last_control = _mm_set1_epi8(0x1f);
      const __m128i control = _mm_cmpeq_epi8(_mm_max_epu8(bytes, last_control), last_control);
      const __m128i tab = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t'));
      const __m128i del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
      return _mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, control), del)) != 0;
    });
  }
#endif
  return all_are(kFieldByte, value);
}

// Whether all bytes are visible ASCII (kTargetByte) or blanks, 16 at a time.
inline bool is_visible_or_blank(std::string_view text) {
#ifdef __SSE2__
  if (text.size() >= 16) {
    return detail::no_block(text, [](__m128i bytes) {
      return _mm_movemask_epi8(ascii::within(bytes, ' ', 0x7f - ' ')) != 0xffff;
    });
  }
#endif
  for (const char c : text) {
    if (!is(kTargetByte, c) && c != ' ') return false;
  }
  return true;
}

// The number of token bytes at the beginning of `text`.
inline size_t token_size(std::string_view text) {
  size_t size = 0;
#ifdef __SSE2__
  // Nearly all names consist of letters, digits and `-`.
  while (text.size() - size >= 16) {
    const auto bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + size));
    const __m128i lower = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
    const __m128i alphanumeric =
        _mm_or_si128(ascii::within(lower, 'a', 26), ascii::within(bytes, '0', 10));
    const __m128i usual = _mm_or_si128(alphanumeric, _mm_cmpeq_epi8(bytes, _mm_set1_epi8('-')));
    const auto others = ~static_cast<unsigned>(_mm_movemask_epi8(usual)) & 0xffffU;
    if (others == 0) {
      size += 16;
      continue;
    }
    size += static_cast<size_t>(std::countr_zero(others));
    break;
  }
#endif
  while (size < text.size() && is(kTokenByte, text[size])) ++size;
  return size;
}

constexpr bool is_token(std::string_view text) {
  return !text.empty() && all_are(kTokenByte, text);
}

// Calls `visit(element)` for every element of a comma list that is not empty (RFC 9110 5.6.1).
template <class Visit>
void for_each_element(std::string_view list, Visit visit) {
  while (!list.empty()) {
    const size_t comma = list.find(',');
    const std::string_view element = ascii::trim(list.substr(0, comma));
    if (!element.empty()) visit(element);
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

// A host of RFC 3986 3.2.2 that is not empty, and an optional port; no userinfo.
constexpr bool is_host_and_port(std::string_view text) {
  size_t host_end = 0;
  if (!text.empty() && text.front() == '[') {
    while (host_end < text.size() && text[host_end] != ']') ++host_end;
    if (host_end == text.size() || host_end < 3) return false;
    for (const char c : text.substr(1, host_end - 1)) {
      if (ascii::hex_value(c) < 0 && c != ':' && c != '.') return false;
    }
    ++host_end;
  } else {
    while (host_end < text.size() && is(kHostByte, text[host_end])) ++host_end;
  }
  if (host_end == 0) return false;
  if (host_end == text.size()) return true;
  if (text[host_end] != ':' || text.size() - host_end > 6) return false;
  for (const char c : text.substr(host_end + 1)) {
    if (!ascii::is_digit(c)) return false;
  }
  return true;
}

// Removes blanks and tabs (OWS, RFC 9110 5.6.3) from the front of `rest`.
constexpr void skip_blanks(std::string_view& rest) {
  while (rest.starts_with(' ') || rest.starts_with('\t')) rest.remove_prefix(1);
}

// The options of the Connection fields that decide whether a connection persists (RFC 9112 9.3).
struct ConnectionOptions {
  bool close = false;
  bool keep_alive = false;

  void add(std::string_view list) {
    for_each_element(list, [this](std::string_view option) {
      if (ascii::iequals(option, "close")) close = true;
      if (ascii::iequals(option, "keep-alive")) keep_alive = true;
    });
  }
  bool persistent(int minor_version) const { return !close && (minor_version >= 1 || keep_alive); }
};

}  // namespace streamgate::http
