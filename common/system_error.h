// An Error from errno.
#pragma once

#include <string_view>

#include "common/result.h"

namespace streamgate {

// Reason::internal, `<what>: <text of errno>`.
Error system_error(std::string_view what);

}  // namespace streamgate
