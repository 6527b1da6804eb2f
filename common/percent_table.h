// The percent-encoding of every byte, as one table for the loops that encode URLs (RFC 3986 2).
#pragma once

#include <array>
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

// What percent_encode_to needs at its destination: it stores four bytes at a time.
constexpr size_t percent_encoded_bound(size_t size) { return 3 * size + 1; }

// Encodes `text` to `to`, where percent_encoded_bound bytes must be free. Returns the end of what
// was written and adds the ByteClass flags of all bytes to `classes`.
inline char* percent_encode_to(std::string_view text, char* to, unsigned& classes) {
  unsigned seen = 0;
  for (const char c : text) {
    const PercentEntry& entry = percent_entry(c);
    std::memcpy(to, &entry, sizeof entry);
    to += entry.size_and_class & 3;
    seen |= entry.size_and_class;
  }
  classes |= seen;
  return to;
}

}  // namespace streamgate
