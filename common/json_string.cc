#include "common/json_string.h"

#include <cstddef>

namespace streamgate {
namespace {

bool is_between(char c, unsigned least, unsigned most) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= least && byte <= most;
}

// The size in bytes of the multi-byte UTF-8 character at the beginning of `text` (RFC 3629 4: no
// overlong form, no surrogate, nothing above U+10FFFF). 0 if there is none.
size_t multibyte_size(std::string_view text) {
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

void append_control(char c, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  out += "\\u00";
  out += kHex[static_cast<unsigned char>(c) >> 4];
  out += kHex[static_cast<unsigned char>(c) & 15];
}

}  // namespace

void append_json_string(std::string_view text, std::string& out) {
  out += '"';
  while (!text.empty()) {
    const char c = text.front();
    size_t taken = 1;
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (is_between(c, 0, 0x1f)) {
      append_control(c, out);
    } else if (is_between(c, 0x20, 0x7f)) {
      out += c;
    } else if (const size_t size = multibyte_size(text); size > 0) {
      out += text.substr(0, size);
      taken = size;
    } else {
      out += "\\ufffd";
    }
    text.remove_prefix(taken);
  }
  out += '"';
}

}  // namespace streamgate
