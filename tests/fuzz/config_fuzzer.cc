// Parses any bytes as a configuration file: no crash, no exception. An accepted configuration is
// printed and parsed again, with an equal configuration as the result.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/check.h"
#include "master/config/loader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace streamgate;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const LoadedConfig loaded = parse_config(text, "fuzz", {});
  if (!loaded.ok()) return 0;
  const LoadedConfig again = parse_config(print_config(loaded.config), "again", {});
  CHECK(again.ok());
  CHECK(again.config == loaded.config);
  return 0;
}
