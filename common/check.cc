#include "common/check.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "common/log_sink.h"

namespace streamgate {

void check_failed(const char* condition, const char* file, int line) {
  char text[512];
  const int length = std::snprintf(text, sizeof text, "streamgate: check failed: %s at %s:%d\n",
                                   condition, file, line);
  if (length > 0) {
    const auto size =
        static_cast<size_t>(length) < sizeof text ? static_cast<size_t>(length) : sizeof text - 1;
    LogSink::inherited(STDERR_FILENO).write({text, size});
  }
  std::abort();
}

}  // namespace streamgate
