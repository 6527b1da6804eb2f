// Texts with one record per line: the status file, the Handover, the verdict of a trial. Pure.
#pragma once

#include <algorithm>
#include <string_view>

namespace streamgate {

// Removes the first line from `text` and returns it without its end. Empty if the line or the whole
// text is empty.
inline std::string_view take_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

}  // namespace streamgate
