// Links to the proxy in texts that people copy: from a player, a playlist or a log.
#pragma once

#include <string_view>

namespace streamgate {

// Path and query of `text` from our route on (`/stream?url=..`, `/at/-/http/..`) if it is a link to
// a Streamgate; else empty. `text` may be an absolute URL with any host, or begin with a slash.
// Blanks and line ends around it are ignored.
//
// The route begins the path, or follows `public_url` (Config's, may be empty), or follows the
// X-Forwarded-Prefix of a front, which is not known here. With such a prefix the text may also be
// the URL of an upstream, so the link must be complete: `url` is the first parameter and an http(s)
// URL, or the carry of the path form can be read.
std::string_view target_of_pasted_link(std::string_view text, std::string_view public_url);

}  // namespace streamgate
