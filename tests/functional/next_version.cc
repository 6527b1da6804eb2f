// A Streamgate with another version number, for tests of upgrades.
#include "common/version.h"

namespace streamgate {
const char* version() { return "99.0.0"; }
}  // namespace streamgate
