// The percent-encoding of every byte, as one table for the loops that encode URLs (RFC 3986 2).
#pragma once

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace streamgate {

struct PercentEntry {
  char text[3];
  // The low two bits: how many bytes of `text` count (1 or 3). The others: ByteClass flags.
  uint8_t size_and_class;
};
static_assert(sizeof(PercentEntry) == 4);

// What a run of bytes contained, or-ed together while it is encoded.
enum ByteClass : uint8_t {
  kColonByte = 4,
  kSlashByte = 8,
  kQueryOrFragmentByte = 16,
  kIllegalByte = 32,  // may not stand in a URI (RFC 3986 appendix A), control bytes included
  kControlByte = 64,  // 0x00 to 0x1f and 0x7f
};

constexpr bool is_unreserved(unsigned char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

constexpr uint8_t classify_byte(unsigned char c) {
  if (c < 0x20 || c == 0x7f) return kIllegalByte | kControlByte;
  if (c == ':') return kColonByte;
  if (c == '/') return kSlashByte;
  if (c == '?' || c == '#') return kQueryOrFragmentByte;
  constexpr std::string_view kIllegal = " \"<>\\^`{|}";
  return c >= 0x80 || kIllegal.find(static_cast<char>(c)) != std::string_view::npos ? kIllegalByte
                                                                                    : 0;
}

constexpr std::array<PercentEntry, 256> make_percent_table() {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::array<PercentEntry, 256> table{};
  for (unsigned c = 0; c < 256; ++c) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_unreserved(byte)) {
      table[c] = {{static_cast<char>(c), 0, 0}, 1};
    } else {
      table[c] = {{'%', kHex[c >> 4], kHex[c & 15]}, static_cast<uint8_t>(3 | classify_byte(byte))};
    }
  }
  return table;
}

inline constexpr std::array<PercentEntry, 256> kPercentTable = make_percent_table();

inline const PercentEntry& percent_entry(char c) {
  return kPercentTable[static_cast<unsigned char>(c)];
}

#ifdef __SSE2__
// A bit for each of the 16 bytes that is unreserved.
inline unsigned unreserved_mask(__m128i bytes) {
  const auto is_within = [](__m128i values, char first, char size) {
    const __m128i offset = _mm_sub_epi8(values, _mm_set1_epi8(first));
    const __m128i last = _mm_set1_epi8(static_cast<char>(size - 1));
    return _mm_cmpeq_epi8(_mm_min_epu8(offset, last), offset);  // offset <= last, unsigned
  };
  const __m128i lower = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
  const __m128i alphanumeric = _mm_or_si128(is_within(lower, 'a', 26), is_within(bytes, '0', 10));
  const __m128i marks = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('_')),
                                     _mm_cmpeq_epi8(bytes, _mm_set1_epi8('~')));
  const __m128i rest = _mm_or_si128(marks, is_within(bytes, '-', 2));  // `-` and `.`
  return static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(alphanumeric, rest)));
}
#endif

// What percent_encode_to needs at its destination: it stores up to 16 bytes at a time.
constexpr size_t percent_encoded_bound(size_t size) { return 3 * size + 16; }

// Encodes `text` to `to`, where percent_encoded_bound bytes must be free. Returns the end of what
// was written and adds the ByteClass flags of all bytes to `classes`.
inline char* percent_encode_to(std::string_view text, char* to, unsigned& classes) {
  const char* from = text.data();
  const char* const end = from + text.size();
  unsigned seen = 0;
  const auto encode_one = [&to, &seen](char c) {
    const PercentEntry& entry = percent_entry(c);
    std::memcpy(to, &entry, sizeof entry);
    to += entry.size_and_class & 3;
    seen |= entry.size_and_class;
  };
#ifdef __SSE2__
  // Nearly all bytes of file names are copied as they are; this loop is half of the rewriter's
  // time.
  while (end - from >= 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
    const int run = std::countr_one(unreserved_mask(bytes));
    from += run;
    to += run;
    if (run < 16) encode_one(*from++);
  }
  // The rest in one step, by the last 16 bytes again, if they are all copied as they are.
  if (from != end && text.size() >= 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(end - 16));
    if (unreserved_mask(bytes) == 0xffff) {
      to += end - from;
      from = end;
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to - 16), bytes);
    }
  }
#endif
  while (from != end) encode_one(*from++);
  classes |= seen;
  return to;
}

}  // namespace streamgate
