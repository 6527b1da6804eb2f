// Checks of URL paths, for rules that allow a path and all below it.
#pragma once

#include <string_view>

namespace streamgate {

// Whether an upstream may resolve `path` to another path than its segments show. It may if a
// segment is `.` or `..`, alone or before a `;`, `?`, `#` or NUL. The path is read as it is,
// decoded once, and decoded twice, and is split at `/` and `\`. Such a path is in no scope.
bool is_ambiguous_path(std::string_view path);

}  // namespace streamgate
