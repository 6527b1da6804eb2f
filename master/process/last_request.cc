#include "master/process/last_request.h"

#include <algorithm>

namespace streamgate {

LastRequest read_last_request(const ServedRequest& served) {
  LastRequest out;
  out.is_running = served.is_running.load(std::memory_order_relaxed) != 0;
  const size_t size = std::min<size_t>(served.size, served.text.size());
  out.text.assign(served.text.data(), size);
  out.step.assign(served.step.data(), ::strnlen(served.step.data(), served.step.size()));
  return out;
}

}  // namespace streamgate
