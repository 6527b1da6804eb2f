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

#include "common/ascii.h"

namespace streamgate {

struct PercentEntry {
  char text[3];
  // The low two bits: how many bytes of `text` are used (1 or 3). The others: ByteClass flags.
  uint8_t size_and_class;
};
static_assert(sizeof(PercentEntry) == 4);

// Which kinds of bytes a text has, or-ed together while it is encoded.
enum ByteClass : uint8_t {
  kColonByte = 4,
  kSlashByte = 8,
  kQueryOrFragmentByte = 16,
  kIllegalByte = 32,     // not allowed in a URI (RFC 3986 appendix A), control bytes included
  kControlByte = 64,     // 0x00 to 0x1f and 0x7f
  kSlashDotBytes = 128,  // a slash followed by a dot: set by percent_encode_to, never in the table
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
// One bit for each of the 16 bytes: set if the byte is unreserved.
inline unsigned unreserved_mask(__m128i bytes) {
  const __m128i lower = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
  const __m128i alphanumeric =
      _mm_or_si128(ascii::within(lower, 'a', 26), ascii::within(bytes, '0', 10));
  const __m128i marks = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('_')),
                                     _mm_cmpeq_epi8(bytes, _mm_set1_epi8('~')));
  const __m128i rest = _mm_or_si128(marks, ascii::within(bytes, '-', 2));  // `-` and `.`
  return static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(alphanumeric, rest)));
}

// The same for bytes that are not allowed in a URI.
inline unsigned illegal_mask(__m128i bytes) {
  // The comparison is signed: bytes from 0x80 on are below the blank too.
  __m128i hits = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x21));
  for (const char c : {'"', '<', '>', '\\', '^', '`', '\x7f'}) {
    hits = _mm_or_si128(hits, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c)));
  }
  return static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(hits, ascii::within(bytes, '{', 3))));
}
#endif

// The index of the first byte that is not allowed in a URI, at or after `from`; the size of `text`
// if there is none.
inline size_t find_illegal(std::string_view text, size_t from = 0) {
  size_t i = from;
#ifdef __SSE2__
  const auto hits_at = [text](size_t at) {
    return illegal_mask(_mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + at)));
  };
  for (; i + 16 <= text.size(); i += 16) {
    const unsigned hits = hits_at(i);
    if (hits != 0) return i + static_cast<size_t>(std::countr_zero(hits));
  }
  if (text.size() >= 16) {
    if (i == text.size()) return i;
    // The last block overlaps bytes that have been searched already, or that are before `from`.
    const unsigned hits = hits_at(text.size() - 16) >> (16 - (text.size() - i));
    return hits == 0 ? text.size() : i + static_cast<size_t>(std::countr_zero(hits));
  }
#endif
  while (i < text.size() && (percent_entry(text[i]).size_and_class & kIllegalByte) == 0) ++i;
  return i;
}

// The bytes that percent_encode_to needs at its destination: it stores up to 16 at a time.
constexpr size_t percent_encoded_bound(size_t size) { return 3 * size + 16; }

// Encodes one text; see percent_encode_to().
struct PercentEncoder {
  const char* from;
  const char* const end;
  char* to;
  unsigned seen = 0;                    // ByteClass flags
  const char* query_or_fragment = end;  // the first `?` or `#`

  PercentEncoder(std::string_view text, char* destination)
      : from(text.data()), end(from + text.size()), to(destination) {}

  void encode() {
#ifdef __SSE2__
    encode_blocks();
    if (from != end) encode_tail();
#else
    while (from != end) encode_one();
#endif
  }

 private:
  size_t left() const { return static_cast<size_t>(end - from); }

  void encode_one() {
    const PercentEntry& entry = percent_entry(*from);
    std::memcpy(to, &entry, sizeof entry);
    to += entry.size_and_class & 3;
    if (entry.size_and_class > 3) note_class(entry.size_and_class);
    ++from;
  }

  void note_class(uint8_t byte_class) {
    if ((byte_class & kSlashByte) != 0 && from + 1 != end && from[1] == '.') seen |= kSlashDotBytes;
    if ((byte_class & kQueryOrFragmentByte & ~seen) != 0) query_or_fragment = from;
    seen |= byte_class;
  }

#ifdef __SSE2__
  // Nearly all bytes of file names are unreserved. 16 bytes are copied and checked in one step; the
  // bytes after a reserved one are copied again, after its three bytes.
  void encode_blocks() {
    while (left() >= 16) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
      unsigned reserved = unreserved_mask(bytes) ^ 0xffff;
      const char* const block_end = from + 16;
      while (reserved != 0) {
        const int run = std::countr_zero(reserved);
        from += run;
        to += run;
        encode_one();
        reserved >>= run + 1;
        if (left() < 16) return;
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                         _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
      }
      to += block_end - from;
      from = block_end;
    }
  }

  // The last 1 to 15 bytes, in one step too, from two words: bytes after the end are not read.
  void encode_tail() {
    size_t size = left();
    uint64_t low = 0;
    uint64_t high = 0;
    load_tail(size, low, high);
    const __m128i bytes = _mm_set_epi64x(static_cast<int64_t>(high), static_cast<int64_t>(low));
    unsigned reserved = (unreserved_mask(bytes) ^ 0xffff) & ((1U << size) - 1);
    for (;;) {
      store_16(low, high);
      if (reserved == 0) break;
      const auto run = static_cast<size_t>(std::countr_zero(reserved));
      from += run;
      to += run;
      encode_one();
      reserved >>= run + 1;
      size -= run + 1;
      shift_out(run + 1, low, high);
    }
    to += size;
    from = end;
  }

  // Overlapping loads of the `size` bytes, the first one in the lowest byte of `low`.
  void load_tail(size_t size, uint64_t& low, uint64_t& high) const {
    if (size >= 8) {
      std::memcpy(&low, from, 8);
      std::memcpy(&high, end - 8, 8);
      high = size == 8 ? 0 : high >> 8 * (16 - size);
    } else if (size >= 4) {
      uint32_t first = 0;
      uint32_t last = 0;
      std::memcpy(&first, from, 4);
      std::memcpy(&last, end - 4, 4);
      low = first | uint64_t{last} << 8 * (size - 4);
    } else {
      const auto byte_at = [&](size_t i) {
        return uint64_t{static_cast<unsigned char>(from[i])} << 8 * i;
      };
      low = byte_at(0) | byte_at(size / 2) | byte_at(size - 1);
    }
  }

  void store_16(uint64_t low, uint64_t high) {
    std::memcpy(to, &low, 8);
    std::memcpy(to + 8, &high, 8);
  }

  // Drops the next `bytes` (1 to 15) of them.
  static void shift_out(size_t bytes, uint64_t& low, uint64_t& high) {
    if (bytes < 8) {
      low = low >> 8 * bytes | high << (64 - 8 * bytes);
      high >>= 8 * bytes;
    } else {
      low = high >> 8 * (bytes - 8);
      high = 0;
    }
  }
#endif
};

// Encodes `text` to `to`, where percent_encoded_bound bytes must be free. Returns the end of the
// encoded text and adds the ByteClass flags of all bytes to `classes`.
inline char* percent_encode_to(std::string_view text, char* to, unsigned& classes) {
  PercentEncoder encoder(text, to);
  encoder.encode();
  classes |= encoder.seen;
  return encoder.to;
}

}  // namespace streamgate
