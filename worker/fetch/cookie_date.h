// The date of a cookie's Expires attribute (RFC 6265 5.1.1). Servers write it in many forms.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace streamgate {

// Seconds since 1970; nullopt if the text has no day, month, year or time, or an impossible one.
std::optional<int64_t> parse_cookie_date(std::string_view text);

}  // namespace streamgate
