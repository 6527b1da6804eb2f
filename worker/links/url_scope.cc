#include "worker/links/url_scope.h"

#include <algorithm>
#include <utility>

#include "common/url_path.h"

namespace streamgate {

size_t directory_depth(std::string_view path) {
  const auto slashes = static_cast<size_t>(std::count(path.begin(), path.end(), '/'));
  return slashes == 0 ? 0 : slashes - 1;
}

std::string without_reports(std::string_view path_and_query) {
  const size_t question = std::min(path_and_query.find('?'), path_and_query.size());
  std::string out(path_and_query.substr(0, question));
  std::string_view rest = path_and_query.substr(question);
  char separator = '?';
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::string_view parameter = rest.substr(0, rest.find('&'));
    rest.remove_prefix(parameter.size());
    if (parameter.starts_with("_HLS_") || parameter.starts_with("CMCD=")) continue;
    out += std::exchange(separator, '&');
    out += parameter;
  }
  return out;
}

std::string scope_of(const HttpUrl& url, size_t depth) {
  const std::string_view path = url.path();
  const size_t directories = directory_depth(path);
  if (depth == directories + 1) return url.origin().append(path).append("?");
  if (depth > directories) {
    return url.origin().append(without_reports(url.path_and_query)).append("#");
  }
  size_t end = 0;
  for (size_t i = 0; i < depth; ++i) end = path.find('/', end + 1);
  return url.origin().append(path.substr(0, end + 1));
}

bool is_in_scope(const HttpUrl& url, std::string_view scope) {
  const std::string origin = url.origin();
  if (!scope.starts_with(origin)) return false;
  const std::string_view path = scope.substr(origin.size());
  if (path.ends_with('?')) return url.path() == path.substr(0, path.size() - 1);
  if (path.ends_with('#')) {
    return without_reports(url.path_and_query) == path.substr(0, path.size() - 1);
  }
  return url.path().starts_with(path) && !is_ambiguous_path(url.path());
}

}  // namespace streamgate
