#include "worker/documents/utf16.h"

#include "common/utf8.h"

namespace streamgate {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

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
