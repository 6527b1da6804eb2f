// An anonymous file that lives in memory: what a program hands over to the one that replaces it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/result.h"
#include "common/unique_fd.h"

namespace streamgate {

// Empty, close-on-exec, never executable. `name` shows in /proc only.
Result<UniqueFd> make_memory_file(const char* name);
// The same with a text in it.
Result<UniqueFd> make_memory_file(const char* name, std::string_view text);

// The whole of it, from its beginning wherever its offset stands; an error if it cannot be read or
// holds more than `most_bytes`.
Result<std::string> read_memory_file(int file, size_t most_bytes);

}  // namespace streamgate
