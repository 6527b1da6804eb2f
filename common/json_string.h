// Writes any bytes as a JSON string (RFC 8259 7).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace streamgate {

// Appends `text` to `out` with the quotes around it. Quotes, backslashes and control bytes are
// escaped, those of a terminal too (C1, U+0080 to U+009F). A byte that is not part of valid UTF-8
// (RFC 3629) becomes U+FFFD, because a JSON text is UTF-8.
void append_json_string(std::string_view text, std::string& out);
// The same with at most `most` bytes (8 or more), quotes included: a longer string is cut between
// two characters and ends with `...`.
void append_json_string(std::string_view text, size_t most, std::string& out);

}  // namespace streamgate
