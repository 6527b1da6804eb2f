// A property of detect_kind() that several fuzz targets check.
#pragma once

#include <cstddef>
#include <string_view>

#include "common/check.h"
#include "worker/documents/detector.h"

namespace streamgate {

// More bytes do not change a kind that has been detected.
inline void check_kind_is_final(std::string_view text) {
  for (size_t seen = 0; seen <= text.size() && seen < 64; ++seen) {
    const auto kind = detect_kind("video/mp2t", "/", text.substr(0, seen), false);
    if (!kind) continue;
    CHECK(detect_kind("video/mp2t", "/", text, true) == kind);
    return;
  }
}

}  // namespace streamgate
