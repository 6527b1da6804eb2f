// base64url without padding (RFC 4648 5), and base64 with padding (RFC 4648 4).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace streamgate {

// Appends the encoded form.
void append_base64url(std::string_view bytes, std::string& out);

// nullopt for a byte outside the alphabet, an impossible length, or unused bits that are not 0:
// each value has one encoded form only.
std::optional<std::string> decode_base64url(std::string_view text);

std::string encode_base64(std::string_view bytes);
// Also accepts the alphabet of base64url. Padding is not checked. nullopt as above.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace streamgate
