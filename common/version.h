// The version of this program.
#pragma once

namespace streamgate {
const char* version();  // `0.1.0`, from CMakeLists.txt
}  // namespace streamgate
