// Links to us, as the access log and the reports of explain show them. The path may hold secrets:
// the prefix that a front puts before it, a token in place of a name, the carry of the path form.
#pragma once

#include <string>
#include <string_view>

namespace streamgate {

// The path of a request. Each segment is `*`, except the words of our own routes and, behind such
// words only, a last segment that is a plain word: `/nothing`, `/page/app.js`, `/stream/*`,
// `/*/*/stream`. A link of the path form ends with its route: `/at`. At most 128 bytes.
std::string logged_route(std::string_view target);

// Appends a URL that may be a link to us (`https://host/u/*/stream?url=*`, or from the path on),
// with the secrets of its path masked as above. Any other text is masked as by log::redact().
void append_logged_url(std::string_view url, std::string& out);

}  // namespace streamgate
