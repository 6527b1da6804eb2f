#include "common/system_error.h"

#include <cerrno>
#include <cstring>
#include <string>

namespace streamgate {

Error system_error(std::string_view what) {
  const char* const text = std::strerror(errno);
  return {Reason::internal, std::string(what) + ": " + text};
}

}  // namespace streamgate
