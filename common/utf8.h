// UTF-8 (RFC 3629 4): no overlong form, no surrogate, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace streamgate {

// The size in bytes of the character of two or more bytes at the beginning of `text`, which is not
// empty. 0 if there is none.
size_t utf8_multibyte_size(std::string_view text);
bool is_utf8(std::string_view text);

// Appends a character. `c` is no surrogate, and not above U+10FFFF.
void append_utf8(char32_t c, std::string& out);

}  // namespace streamgate
