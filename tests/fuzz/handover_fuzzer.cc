// Parses any bytes as a Handover. An accepted handover is printed and parsed again, with the same
// text as the result.
#include <cstdint>
#include <string>

#include "common/check.h"
#include "master/upgrade/handover.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace streamgate;
  const auto first = parse_handover({reinterpret_cast<const char*>(data), size});
  if (!first) return 0;
  const std::string text = print_handover(*first);
  const auto second = parse_handover(text);
  CHECK(second);
  CHECK(print_handover(*second) == text);
  return 0;
}
