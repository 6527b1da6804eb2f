#include "worker/upstream/account.h"

#include <algorithm>
#include <array>
#include <optional>

#include "common/ascii.h"
#include "common/url.h"

namespace streamgate {
namespace {

constexpr size_t kSegments = 3;
constexpr std::array<std::string_view, 4> kKinds = {"live", "movie", "series", "timeshift"};

struct Segments {
  std::array<std::string_view, kSegments> first;
  size_t count = 0;
};

Segments segments_of(std::string_view path) {
  Segments segments;
  while (path.starts_with('/')) {
    path.remove_prefix(1);
    const std::string_view segment = path.substr(0, path.find('/'));
    if (segments.count < segments.first.size()) segments.first[segments.count] = segment;
    ++segments.count;
    path.remove_prefix(segment.size());
  }
  return segments;
}

bool is_kind(std::string_view segment) {
  return std::any_of(kKinds.begin(), kKinds.end(),
                     [&](std::string_view kind) { return ascii::iequals(kind, segment); });
}

// `1` or `1.ts`
bool is_numbered(std::string_view name) {
  return ascii::parse_uint(name.substr(0, name.find('.'))).has_value();
}

std::optional<std::string> parameter_of(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view raw = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(raw.size() + 1, query.size()));
    if (raw.size() > name.size() && raw.starts_with(name) && raw[name.size()] == '=') {
      return percent_decode(raw.substr(name.size() + 1));
    }
  }
  return std::nullopt;
}

// The line feeds keep the text apart from that of a path.
std::string credentials(std::string_view user, std::string_view password) {
  return "\n" + percent_decode(user) + "\n" + percent_decode(password);
}

}  // namespace

std::string account_of(std::string_view path_and_query) {
  const size_t path_end = std::min(path_and_query.find('?'), path_and_query.size());
  const std::string_view path = path_and_query.substr(0, path_end);
  if (path_end < path_and_query.size()) {
    const std::string_view query = path_and_query.substr(path_end + 1);
    const auto user = parameter_of(query, "username");
    const auto password = parameter_of(query, "password");
    if (user && password) return "\n" + *user + "\n" + *password;
  }
  const auto [first, count] = segments_of(path);
  if (count >= kSegments && is_kind(first[0])) return credentials(first[1], first[2]);
  if (count == kSegments && is_numbered(first[2])) return credentials(first[0], first[1]);
  std::string account;
  for (size_t i = 0; i < std::min(count, kSegments); ++i) account.append("/").append(first[i]);
  return account;
}

}  // namespace streamgate
