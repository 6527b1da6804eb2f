#include "worker/http/base64.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace streamgate {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr uint8_t kNone = 0xff;

constexpr std::array<uint8_t, 256> kValues = [] {
  std::array<uint8_t, 256> values{};
  values.fill(kNone);
  for (size_t i = 0; i < kAlphabet.size(); ++i) {
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<uint8_t>(i);
  }
  return values;
}();

}  // namespace

void append_base64url(std::string_view bytes, std::string& out) {
  const auto byte_at = [&](size_t i) { return uint32_t{static_cast<unsigned char>(bytes[i])}; };
  const auto digit = [](uint32_t bits) { return kAlphabet[bits & 0x3fU]; };
  const size_t tail = bytes.size() % 3;
  const size_t whole = bytes.size() - tail;
  const size_t before = out.size();
  out.resize(before + whole / 3 * 4 + (tail == 0 ? 0 : tail + 1));
  char* to = out.data() + before;
  for (size_t i = 0; i < whole; i += 3, to += 4) {
    const uint32_t bits = byte_at(i) << 16U | byte_at(i + 1) << 8U | byte_at(i + 2);
    to[0] = digit(bits >> 18U);
    to[1] = digit(bits >> 12U);
    to[2] = digit(bits >> 6U);
    to[3] = digit(bits);
  }
  if (tail == 0) return;
  const uint32_t bits = byte_at(whole) << 16U | (tail == 2 ? byte_at(whole + 1) << 8U : 0);
  to[0] = digit(bits >> 18U);
  to[1] = digit(bits >> 12U);
  if (tail == 2) to[2] = digit(bits >> 6U);
}

std::optional<std::string> decode_base64url(std::string_view text) {
  const size_t tail = text.size() % 4;
  if (tail == 1) return std::nullopt;
  const size_t whole = text.size() - tail;
  std::string out(whole / 4 * 3 + (tail == 0 ? 0 : tail - 1), '\0');
  size_t end = 0;
  uint32_t seen = 0;  // kNone is the only value with the highest bit
  const auto value_at = [&](size_t i) {
    const uint32_t value = kValues[static_cast<unsigned char>(text[i])];
    seen |= value;
    return value;
  };
  const auto bits_at = [&](size_t i, size_t digits) {
    uint32_t bits = 0;
    for (size_t j = 0; j < 4; ++j) bits = bits << 6U | (j < digits ? value_at(i + j) : 0);
    return bits;
  };
  for (size_t i = 0; i < whole; i += 4) {
    const uint32_t bits = bits_at(i, 4);
    for (const unsigned shift : {16U, 8U, 0U})
      out[end++] = static_cast<char>(bits >> shift & 0xffU);
  }
  const uint32_t rest = bits_at(whole, tail);
  for (unsigned shift = 16; end < out.size(); shift -= 8) {
    out[end++] = static_cast<char>(rest >> shift & 0xffU);
  }
  const uint32_t unused = tail == 2 ? 0xffffU : tail == 3 ? 0xffU : 0;
  if ((seen & 0x80U) != 0 || (rest & unused) != 0) return std::nullopt;
  return out;
}

std::string encode_base64(std::string_view bytes) {
  std::string out;
  append_base64url(bytes, out);
  std::replace(out.begin(), out.end(), '-', '+');
  std::replace(out.begin(), out.end(), '_', '/');
  out.append((4 - out.size() % 4) % 4, '=');
  return out;
}

std::optional<std::string> decode_base64(std::string_view text) {
  std::string url_form(text.substr(0, text.find_last_not_of('=') + 1));
  std::replace(url_form.begin(), url_form.end(), '+', '-');
  std::replace(url_form.begin(), url_form.end(), '/', '_');
  return decode_base64url(url_form);
}

}  // namespace streamgate
