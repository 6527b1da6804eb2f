#include "worker/links/url_scope.h"

#include <algorithm>

namespace streamgate {
namespace {

bool is_dot_segment(std::string_view segment) {
  segment = segment.substr(0, segment.find(';'));
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
  // Nearly all paths have neither an escape nor a dot behind a slash.
  if (path.find('%') == path.npos) return path.find("/.") != path.npos && has_dot_segment(path);
  if (has_dot_segment(path)) return true;
  const std::string once = percent_decode(path);
  if (has_dot_segment(once)) return true;
  return once.find('%') != once.npos && has_dot_segment(percent_decode(once));
}

size_t directory_depth(std::string_view path) {
  const auto slashes = static_cast<size_t>(std::count(path.begin(), path.end(), '/'));
  return slashes == 0 ? 0 : slashes - 1;
}

std::string scope_of(const HttpUrl& url, size_t depth) {
  const std::string_view path = url.path();
  if (depth > directory_depth(path)) return url.origin().append(path).append("?");
  size_t end = 0;
  for (size_t i = 0; i < depth; ++i) end = path.find('/', end + 1);
  return url.origin().append(path.substr(0, end + 1));
}

bool is_in_scope(const HttpUrl& url, std::string_view scope) {
  const std::string origin = url.origin();
  if (!scope.starts_with(origin)) return false;
  const std::string_view path = scope.substr(origin.size());
  if (path.ends_with('?')) return url.path() == path.substr(0, path.size() - 1);
  return url.path().starts_with(path) && !is_ambiguous_path(url.path());
}

}  // namespace streamgate
