// UTF-16 documents with a byte order mark, as Windows programs save them, decoded to UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace streamgate {

// Whether a document with these first bytes may begin with a UTF-16 byte order mark. UTF-8 text
// never begins with one.
inline bool may_be_utf16(std::string_view first_bytes) {
  constexpr std::string_view kLittle = "\xFF\xFE";
  constexpr std::string_view kBig = "\xFE\xFF";
  const std::string_view mark = first_bytes.substr(0, 2);
  return !mark.empty() && (kLittle.starts_with(mark) || kBig.starts_with(mark));
}

// Decodes one document in pieces. Holds at most three bytes between two pieces.
class Utf16Decoder {
 public:
  // Appends the text of `bytes` to `out`, without the byte order mark; at most three bytes for two.
  // A surrogate without its other half becomes U+FFFD.
  void decode(std::string_view bytes, std::string& out);

 private:
  void take_unit(char16_t unit, std::string& out);

  bool is_big_endian_ = false;
  bool has_begun_ = false;  // the byte order mark has been read
  bool has_half_unit_ = false;
  unsigned char half_unit_ = 0;
  char16_t high_surrogate_ = 0;  // 0: none waits for its other half
};

}  // namespace streamgate
