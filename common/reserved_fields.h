// Header fields that the proxy itself sets. Neither a link nor the configuration may set them:
// routing, framing and the connection (RFC 9110 7.6.1); conditions and ranges, which are the
// client's; the fields that record the path of a request, because a forged CDN-Loop would hide a
// loop; and Icy-MetaData, which changes the body.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include "common/ascii.h"

namespace streamgate {

inline bool is_reserved_field(std::string_view name) {
  constexpr std::array<std::string_view, 16> kNames = {
      "Host",      "Content-Length",  "Transfer-Encoding", "TE",
      "Trailer",   "Connection",      "Upgrade",           "Keep-Alive",
      "Expect",    "Range",           "CDN-Loop",          "Via",
      "Forwarded", "Accept-Encoding", "HTTP2-Settings",    "Icy-MetaData"};
  constexpr std::array<std::string_view, 3> kPrefixes = {"Proxy-", "If-", "X-Forwarded-"};
  return std::any_of(kPrefixes.begin(), kPrefixes.end(),
                     [&](std::string_view prefix) { return ascii::istarts_with(name, prefix); }) ||
         std::any_of(kNames.begin(), kNames.end(),
                     [&](std::string_view reserved) { return ascii::iequals(reserved, name); });
}

}  // namespace streamgate
