// Scopes of URLs: an origin and the first segments of a path, as text that ends with a slash:
// `https://cdn.example/live/user/`. A grant or a token that is limited to a directory names one.
// The scope of one path alone ends with a question mark: `https://cdn.example/live/a.ts?`.
#pragma once

#include <string>
#include <string_view>

#include "common/url.h"

namespace streamgate {

// Whether an upstream may resolve `path` to another path than its segments show: after it has been
// decoded not at all, once or twice, and split at `/` and `\`, a segment is `.` or `..`, with or
// without parameters after a semicolon. Such a path is in no scope.
bool is_ambiguous_path(std::string_view path);

// The directories of a path: 2 for `/live/user/seg.ts`, 0 for `/`.
size_t directory_depth(std::string_view path);

// The scope of the first `depth` directories; with directory_depth(url.path()) + 1, that of the
// path alone. Requires depth <= directory_depth(url.path()) + 1.
std::string scope_of(const HttpUrl& url, size_t depth);

// Whether `url` lies below `scope`, and is not ambiguous.
bool is_in_scope(const HttpUrl& url, std::string_view scope);

}  // namespace streamgate
