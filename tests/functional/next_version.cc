// A Streamgate of another version, for tests that replace one by the other.
#include "common/version.h"

namespace streamgate {
const char* version() { return "99.0.0"; }
}  // namespace streamgate
