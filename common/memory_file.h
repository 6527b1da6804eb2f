// An anonymous file in memory, which a program hands over to the program that replaces it.
#pragma once

#include <string_view>

#include "common/result.h"
#include "common/unique_fd.h"

namespace streamgate {

// Empty, close-on-exec, never executable. `name` shows in /proc only.
Result<UniqueFd> make_memory_file(const char* name);
// The same, with `text` as its content.
Result<UniqueFd> make_memory_file(const char* name, std::string_view text);

}  // namespace streamgate
