// Finds the end of a line of a playlist: LF or CR (RFC 8216bis 4.1; players accept a lone CR).
#pragma once

#include "common/ascii.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <bit>
#include <cstdint>

namespace streamgate {

// The first CR or LF in [from, end), or `end`.
inline const char* find_line_end(const char* from, const char* end) {
#ifdef __SSE2__
  // Lines are 10 to 100 bytes long: two calls of memchr would cost more than this loop.
  const __m128i lf = _mm_set1_epi8('\n');
  const __m128i cr = _mm_set1_epi8('\r');
  for (; end - from >= 16; from += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    const int hits =
        _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(bytes, lf), _mm_cmpeq_epi8(bytes, cr)));
    if (hits != 0) return from + std::countr_zero(static_cast<unsigned>(hits));
  }
#endif
  while (from != end && *from != '\n' && *from != '\r') ++from;
  return from;
}

// The line after the one at `from`, if that is a plain URI: relative, without dot segments at its
// beginning or in it, colons, escapes, backslashes, bars and tabs, without an underscore in its
// query, and with LF at its end. is_plain_relative() is true of it. Null for any other line.
inline const char* skip_plain_uri(const char* from, const char* end) {
#ifdef __SSE2__
  if (from == end || !(ascii::is_alpha(*from) || ascii::is_digit(*from))) return nullptr;
  const auto is = [](__m128i bytes, char c) { return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c)); };
  const auto mask = [](__m128i hits) { return static_cast<unsigned>(_mm_movemask_epi8(hits)); };
  unsigned slash_before = 0;  // bit 0: the block follows a slash
  bool is_in_query = false;
  for (const char* at = from; end - at >= 16; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    // With this bit cleared `|` is a backslash.
    const __m128i bars = is(_mm_and_si128(bytes, _mm_set1_epi8('\xdf')), '\\');
    // With this bit cleared CR is a tab.
    const __m128i tabs = is(_mm_and_si128(bytes, _mm_set1_epi8('\xfb')), '\t');
    const __m128i bad =
        _mm_or_si128(_mm_or_si128(bars, is(bytes, '%')), _mm_or_si128(is(bytes, ':'), tabs));
    const unsigned slashes = mask(is(bytes, '/'));
    const unsigned dot_segments = mask(is(bytes, '.')) & (slashes << 1U | slash_before);
    const unsigned questions = mask(is(bytes, '?'));
    const unsigned of_query = is_in_query ? ~0U : -(questions & -questions);
    const unsigned ends = mask(is(bytes, '\n'));
    const unsigned in_line = ends == 0 ? ~0U : (ends & -ends) - 1;
    const unsigned stops = mask(bad) | dot_segments | (mask(is(bytes, '_')) & of_query);
    if ((stops & in_line) != 0) return nullptr;
    if (ends != 0) return at + std::countr_zero(ends) + 1;
    slash_before = slashes >> 15U;
    is_in_query = is_in_query || questions != 0;
  }
#else
  (void)from;
  (void)end;
#endif
  return nullptr;
}

}  // namespace streamgate
