#include "common/json_string.h"

#include <array>
#include <cstddef>

#include "common/utf8.h"

namespace streamgate {
namespace {

bool is_between(char c, unsigned least, unsigned most) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= least && byte <= most;
}

// Characters that stand for themselves.
constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> plain{};
  for (size_t c = 0x20; c < 0x7f; ++c) plain[c] = c != '"' && c != '\\';
  return plain;
}();

size_t plain_prefix_size(std::string_view text) {
  size_t size = 0;
  while (size < text.size() && kPlain[static_cast<unsigned char>(text[size])]) ++size;
  return size;
}

// A control character of one byte, or of two in UTF-8.
void append_control(char c, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  out += "\\u00";
  out += kHex[static_cast<unsigned char>(c) >> 4];
  out += kHex[static_cast<unsigned char>(c) & 15];
}

// Appends the first character, escaped if it must be, and returns its size in `text`.
size_t append_character(std::string_view text, std::string& out) {
  const char c = text.front();
  if (c == '"' || c == '\\') {
    out += '\\';
    out += c;
  } else if (is_between(c, 0, 0x1f) || c == 0x7f) {
    append_control(c, out);
  } else if (kPlain[static_cast<unsigned char>(c)]) {
    out += c;
  } else {
    const size_t size = utf8_multibyte_size(text);
    if (size == 0) {
      out += "\\ufffd";
      return 1;
    }
    if (c == '\xc2' && is_between(text[1], 0x80, 0x9f)) {
      append_control(text[1], out);
    } else {
      out += text.substr(0, size);
    }
    return size;
  }
  return 1;
}

}  // namespace

void append_json_string(std::string_view text, std::string& out) {
  out += '"';
  while (true) {
    const size_t plain = plain_prefix_size(text);
    out += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    text.remove_prefix(append_character(text, out));
  }
  out += '"';
}

void append_json_string(std::string_view text, size_t most, std::string& out) {
  constexpr std::string_view kCut = "...\"";
  const size_t limit = out.size() + most;
  size_t last_cut = out.size() + 1;  // the end of the characters that leave room for kCut
  out += '"';
  while (!text.empty()) {
    text.remove_prefix(append_character(text, out));
    if (out.size() + kCut.size() <= limit) {
      last_cut = out.size();
    } else if (out.size() + 1 > limit) {
      out.resize(last_cut);
      out += kCut;
      return;
    }
  }
  out += '"';
}

}  // namespace streamgate
