#include "common/utf8.h"

namespace streamgate {
namespace {

bool is_between(char c, unsigned least, unsigned most) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= least && byte <= most;
}

}  // namespace

size_t utf8_multibyte_size(std::string_view text) {
  const char lead = text.front();
  const size_t size = is_between(lead, 0xc2, 0xdf)   ? 2
                      : is_between(lead, 0xe0, 0xef) ? 3
                      : is_between(lead, 0xf0, 0xf4) ? 4
                                                     : 0;
  if (size == 0 || text.size() < size) return 0;
  unsigned least = 0x80;
  unsigned most = 0xbf;
  if (is_between(lead, 0xe0, 0xe0)) least = 0xa0;
  if (is_between(lead, 0xed, 0xed)) most = 0x9f;
  if (is_between(lead, 0xf0, 0xf0)) least = 0x90;
  if (is_between(lead, 0xf4, 0xf4)) most = 0x8f;
  if (!is_between(text[1], least, most)) return 0;
  for (const char c : text.substr(2, size - 2)) {
    if (!is_between(c, 0x80, 0xbf)) return 0;
  }
  return size;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const bool is_ascii = static_cast<unsigned char>(text.front()) < 0x80;
    const size_t size = is_ascii ? 1 : utf8_multibyte_size(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

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

}  // namespace streamgate
