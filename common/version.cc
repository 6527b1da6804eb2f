#include "common/version.h"

namespace streamgate {
const char* version() { return STREAMGATE_VERSION; }
}  // namespace streamgate
