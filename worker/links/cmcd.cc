#include "worker/links/cmcd.h"

#include <algorithm>
#include <optional>

#include "common/ascii.h"
#include "worker/links/stream_request.h"

namespace streamgate {
namespace {

constexpr std::string_view kNext = "nor";
constexpr std::string_view kNextRange = "nrr";

// Removes the first `key=value` from `list`. Commas in quotes and in brackets (version 2) belong to
// the value.
std::string_view take_item(std::string_view& list) {
  bool is_quoted = false;
  int brackets = 0;
  size_t end = 0;
  for (; end < list.size(); ++end) {
    const char c = list[end];
    if (c == '"') is_quoted = !is_quoted;
    if (is_quoted) continue;
    if (c == '(') ++brackets;
    if (c == ')') --brackets;
    if (c == ',' && brackets <= 0) break;
  }
  const std::string_view item = ascii::trim(list.substr(0, end));
  list.remove_prefix(std::min(end + 1, list.size()));
  return item;
}

std::string_view key_of(std::string_view item) { return item.substr(0, item.find('=')); }

// `to` as a reference relative to `from`: `../b/c?d`. nullopt if there is none that is relative.
std::optional<std::string> relative_reference(const HttpUrl& from, const HttpUrl& to) {
  if (from.is_https != to.is_https || from.host != to.host || from.port != to.port) {
    return std::nullopt;
  }
  const std::string_view base = from.path().substr(0, from.path().rfind('/') + 1);
  const std::string_view path = to.path();
  size_t common = 0;  // the size of the directories that both have
  for (size_t i = 0; i < std::min(base.size(), path.size()) && base[i] == path[i]; ++i) {
    if (base[i] == '/') common = i + 1;
  }
  const std::string_view rest = std::string_view(to.path_and_query).substr(common);
  const auto up = std::count(base.begin() + static_cast<std::ptrdiff_t>(common), base.end(), '/');
  if (rest.starts_with('/')) return std::nullopt;
  std::string out;
  for (auto i = up; i > 0; --i) out += "../";
  // `a:b` would be a scheme, and an empty reference is the current object.
  if (up == 0 && (rest.empty() || rest.front() == '?' || rest.find(':') != rest.npos)) out = "./";
  return out.append(rest);
}

// The value of `nor` for the upstream.
std::optional<std::string> next_object(std::string_view value, std::string_view target,
                                       const HttpUrl& upstream) {
  if (value.size() < 2 || value.front() != '"' || value.back() != '"') return std::nullopt;
  const std::string reference = percent_decode(value.substr(1, value.size() - 2));
  if (reference.empty()) return std::nullopt;
  const std::string base = "http://proxy" + std::string(target);
  std::string link;
  resolve_reference(split_uri(base), reference, link);
  const std::string_view path =
      std::string_view(link).substr(std::min(link.find('/', link.find("://") + 3), link.size()));
  if (route_of(path) != Route::stream) return std::nullopt;
  const auto next = upstream_of_link(path.substr(0, path.find('#')));
  if (!next) return std::nullopt;
  const auto relative = relative_reference(upstream, *next);
  if (!relative) return std::nullopt;
  std::string encoded;
  percent_encode(*relative, encoded);
  return "\"" + encoded + "\"";
}

}  // namespace

bool names_next_object(std::string_view list) {
  while (!list.empty()) {
    const std::string_view key = key_of(take_item(list));
    if (key == kNext || key == kNextRange) return true;
  }
  return false;
}

std::string cmcd_for_upstream(std::string_view list, std::string_view target,
                              const HttpUrl& upstream) {
  if (!names_next_object(list)) return std::string(list);
  std::string out;
  bool is_lost = false;  // the next object has no address for the upstream
  std::string range;     // without `nor` it is a range of the current object
  const auto append = [&out](std::string_view item) {
    if (!out.empty()) out += ',';
    out += item;
  };
  while (!list.empty()) {
    const std::string_view item = take_item(list);
    if (key_of(item) == kNextRange) {
      range = item;
    } else if (key_of(item) != kNext) {
      append(item);
    } else if (const auto next = next_object(item.substr(std::min(kNext.size() + 1, item.size())),
                                             target, upstream)) {
      append("nor=" + *next);
    } else {
      is_lost = true;
    }
  }
  if (!range.empty() && !is_lost) append(range);
  return out;
}

std::string cmcd_parameter(std::string_view raw_value, std::string_view target,
                           const HttpUrl& upstream) {
  const std::string list = percent_decode(raw_value);
  std::string raw = "CMCD=";
  if (!names_next_object(list)) return raw.append(raw_value);
  const std::string for_upstream = cmcd_for_upstream(list, target, upstream);
  if (for_upstream.empty()) return {};
  percent_encode(for_upstream, raw);
  return raw;
}

}  // namespace streamgate
