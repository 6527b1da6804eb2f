// Texts of one record a line, as the master and its programs exchange them. Pure.
#pragma once

#include <algorithm>
#include <string_view>

namespace streamgate {

// Takes the first line off `text`, without its end. Empty lines and an empty text give an empty
// one.
inline std::string_view take_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

}  // namespace streamgate
