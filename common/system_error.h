// An Error from errno.
#pragma once

#include <string_view>

#include "common/result.h"

namespace streamgate {

// Reason::internal; the detail is `<what>: <text of errno>`, as in `pipe: Too many open files`.
Error system_error(std::string_view what);

}  // namespace streamgate
