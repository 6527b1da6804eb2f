// Paths of URLs where they decide what is allowed.
#pragma once

#include <string_view>

namespace streamgate {

// Whether an upstream may resolve `path` to another path than its segments show: as it stands,
// decoded once or decoded twice, and split at `/` and `\`, a segment is `.` or `..`, with or
// without text behind a `;`, `?`, `#` or NUL. Such a path is in no scope.
bool is_ambiguous_path(std::string_view path);

}  // namespace streamgate
