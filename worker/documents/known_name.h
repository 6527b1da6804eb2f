// What the name in a reference shows.
#pragma once

#include <string_view>

namespace streamgate {

// Whether the extension is that of a playlist, a manifest or a media file. A query and a fragment
// are ignored.
bool has_known_name(std::string_view reference);

}  // namespace streamgate
