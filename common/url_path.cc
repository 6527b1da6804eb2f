#include "common/url_path.h"

#include <algorithm>
#include <string>

#include "common/url.h"

namespace streamgate {
namespace {

// An upstream may end the path at a decoded `?`, `#` or NUL.
bool is_dot_segment(std::string_view segment) {
  constexpr std::string_view kEnds(";?#\0", 4);
  segment = segment.substr(0, segment.find_first_of(kEnds));
  return segment == "." || segment == "..";
}

bool has_dot_segment(std::string_view path) {
  while (true) {
    const size_t end = std::min(path.find_first_of("/\\"), path.size());
    if (is_dot_segment(path.substr(0, end))) return true;
    if (end == path.size()) return false;
    path.remove_prefix(end + 1);
  }
}

}  // namespace

bool is_ambiguous_path(std::string_view path) {
  // Nearly all paths have neither an escape nor a dot after a slash.
  if (path.find('%') == path.npos) return path.find("/.") != path.npos && has_dot_segment(path);
  if (has_dot_segment(path)) return true;
  const std::string once = percent_decode(path);
  if (has_dot_segment(once)) return true;
  return once.find('%') != once.npos && has_dot_segment(percent_decode(once));
}

}  // namespace streamgate
