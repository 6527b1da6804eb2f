// Finds the end of a line of a playlist: LF or CR (RFC 8216bis 4.1; players accept a lone CR).
#pragma once

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

}  // namespace streamgate
