// Recognises HTML, which many servers send in place of media: a login page, an error page.
#pragma once

#include <string_view>

namespace streamgate {

// Whether a body begins with one of the tags of WHATWG MIME Sniffing 7.1, in any letter case, after
// a byte order mark, blanks, comments and an XML declaration.
bool begins_like_web_page(std::string_view first_bytes);

}  // namespace streamgate
