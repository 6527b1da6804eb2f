#include "worker/documents/utf16.h"

namespace streamgate {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

void append_utf8(char32_t c, std::string& out) {
  const auto byte = [&](char32_t value) { out.push_back(static_cast<char>(value)); };
  if (c < 0x80) return byte(c);
  if (c < 0x800) {
    byte(0xC0 | c >> 6);
  } else {
    if (c < 0x10000) {
      byte(0xE0 | c >> 12);
    } else {
      byte(0xF0 | c >> 18);
      byte(0x80 | (c >> 12 & 0x3F));
    }
    byte(0x80 | (c >> 6 & 0x3F));
  }
  byte(0x80 | (c & 0x3F));
}

}  // namespace

void Utf16Decoder::decode(std::string_view bytes, std::string& out) {
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (!has_half_unit_) {
      half_unit_ = byte;
      has_half_unit_ = true;
      continue;
    }
    has_half_unit_ = false;
    if (!has_begun_) {
      has_begun_ = true;
      is_big_endian_ = half_unit_ == 0xFE;
      continue;
    }
    const unsigned high = is_big_endian_ ? half_unit_ : byte;
    const unsigned low = is_big_endian_ ? byte : half_unit_;
    take_unit(static_cast<char16_t>(high << 8 | low), out);
  }
}

void Utf16Decoder::take_unit(char16_t unit, std::string& out) {
  const bool is_high = unit >= 0xD800 && unit < 0xDC00;
  const bool is_low = unit >= 0xDC00 && unit < 0xE000;
  const char32_t high = high_surrogate_;
  high_surrogate_ = is_high ? unit : char16_t{0};
  if (high != 0 && is_low) {
    return append_utf8(0x10000 + ((high - 0xD800) << 10) + (unit - 0xDC00u), out);
  }
  if (high != 0) append_utf8(kReplacement, out);
  if (is_low) return append_utf8(kReplacement, out);
  if (!is_high) append_utf8(unit, out);
}

}  // namespace streamgate
