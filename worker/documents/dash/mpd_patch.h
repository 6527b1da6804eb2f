// The operations of an MPD patch (ISO/IEC 23009-1 5.15, RFC 5261): `add` and `replace`.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "worker/documents/dash/mpd_elements.h"

namespace streamgate {

struct PatchOperation {
  // The element of the MPD whose URL is the text of the operation. Null: the operation has other
  // text, or elements.
  const MpdElement* element = nullptr;
  std::string attribute = {};  // of that element; empty: the URL is its text
  // The level of that element, or of the elements in the operation, in the MPD. The root is 1.
  size_t level = 0;
};

// The attributes of an operation: `<name sel=.. type=.. pos=..>`.
struct PatchAttributes {
  std::string_view name;
  std::string_view sel;
  std::string_view type;
  std::string_view pos;
};

PatchOperation patch_operation(const PatchAttributes& attributes);

}  // namespace streamgate
