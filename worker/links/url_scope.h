// Scopes of URLs: an origin and the first segments of a path, as text that ends with a slash:
// `https://cdn.example/live/user/`. A grant or a token that is limited to a directory names one.
// The scope of one path alone ends with a question mark: `https://cdn.example/live/a.ts?`, that of
// one URL with a number sign: `https://cdn.example/get?id=5#`.
#pragma once

#include <string>
#include <string_view>

#include "common/url.h"

namespace streamgate {

// The directories of a path: 2 for `/live/user/seg.ts`, 0 for `/`.
size_t directory_depth(std::string_view path);

// A path and query without what players add to the URL of a playlist: the delivery directives
// (RFC 8216bis 6.2.5), which request another state of the same playlist, and CMCD (CTA-5004).
std::string without_reports(std::string_view path_and_query);

// The scope of the first `depth` directories; with directory_depth(url.path()) + 1, that of the
// path alone, and with one more, that of the URL alone. Requires
// depth <= directory_depth(url.path()) + 2.
std::string scope_of(const HttpUrl& url, size_t depth);

// Whether `url` lies below `scope`, and is not ambiguous.
bool is_in_scope(const HttpUrl& url, std::string_view scope);

}  // namespace streamgate
