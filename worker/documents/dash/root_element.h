// Finds the root element in the first bytes of an XML document.
#pragma once

#include <optional>
#include <string_view>

namespace streamgate {

// Whether the root element of `text` is `MPD`, with or without a namespace prefix. `text` begins
// with `<`. nullopt: `text` ends before the root element; it has only comments, declarations and
// processing instructions.
std::optional<bool> has_mpd_root(std::string_view text);

}  // namespace streamgate
