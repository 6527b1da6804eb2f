#include "common/target_pattern.h"

#include <algorithm>

#include "common/ascii.h"
#include "common/url.h"
#include "common/url_path.h"

namespace streamgate {
namespace {

bool is_name_character(char c) {
  return ascii::is_alpha(c) || ascii::is_digit(c) || c == '-' || c == '.' || c == '_';
}

// As URLs have it, and not with a `*` that would match nothing.
bool is_plain_path(std::string_view path) {
  const auto url = parse_http_url("http://h" + std::string(path));
  return url && url->path_and_query == path && path.find_first_of("?#*") == path.npos &&
         !is_ambiguous_path(path);
}

}  // namespace

bool TargetPattern::matches_host(std::string_view host, uint16_t candidate_port) const {
  if (port && *port != candidate_port) return false;
  switch (kind) {
    case Kind::any_host:
      return true;
    case Kind::host:
      return host == name;
    case Kind::suffix:
      return host.size() > name.size() && host.ends_with(name);
    case Kind::range:
      return false;
  }
  return false;
}

bool TargetPattern::matches_address(const IpAddress& address, uint16_t candidate_port) const {
  return kind == Kind::range && (!port || *port == candidate_port) && range.contains(address);
}

bool TargetPattern::matches_path(std::string_view url_path) const {
  if (path.empty()) return true;
  if (!url_path.starts_with(path) || is_ambiguous_path(url_path)) return false;
  return path.back() == '/' || url_path.size() == path.size() || url_path[path.size()] == '/';
}

// A block has a slash of its own: `10.0.0.0/8/live`. A mistyped block (`10.0.0.0/33`,
// `10.0.0.0/255.0.0.0`) or port (`example.com/live:8080`) is not a path.
Result<TargetPattern> TargetPattern::parse_with_path(std::string_view text) {
  auto whole = parse(text);
  const size_t first = text.find('/');
  if (whole || first == text.npos) return whole;
  const size_t second = text.find('/', first + 1);
  for (const size_t slash : {second, first}) {
    if (slash == text.npos) continue;
    auto target = parse(text.substr(0, slash));
    const std::string_view path = text.substr(slash);
    if (!target || target->kind == Kind::any_host || !is_plain_path(path)) continue;
    const bool is_mask = slash == first && target->kind == Kind::range &&
                         path.find_first_not_of("/0123456789.") == path.npos;
    if (is_mask || path.find(':') != path.npos) continue;
    target->path = path;
    return target;
  }
  return whole;
}

Result<TargetPattern> TargetPattern::parse(std::string_view text) {
  TargetPattern pattern;
  if (auto range = IpRange::parse(text)) {
    pattern.kind = Kind::range;
    pattern.port = range->port;
    pattern.range = *range;
    pattern.range.port.reset();
    return pattern;
  }
  const Error error{
      Reason::bad_request,
      "'" + std::string(text) +
          "' is not a host (example.com), a suffix (*.example.com), an address or "
          "block (10.0.0.0/8), each with an optional :port, or *:port; hosts in other scripts as "
          "punycode (xn--..)"};
  std::string_view host = text;
  if (const size_t colon = text.rfind(':'); colon != std::string_view::npos) {
    const auto port = ascii::parse_uint(text.substr(colon + 1));
    if (!port || *port == 0 || *port > 65535) return error;
    pattern.port = static_cast<uint16_t>(*port);
    host = text.substr(0, colon);
  }
  if (host == "*") {
    if (!pattern.port) return error;
    return pattern;
  }
  pattern.kind = host.starts_with("*.") ? Kind::suffix : Kind::host;
  if (pattern.kind == Kind::suffix) host.remove_prefix(1);
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.empty() || host == "." || !std::all_of(host.begin(), host.end(), is_name_character)) {
    return error;
  }
  pattern.name = ascii::lower(host);
  return pattern;
}

std::string TargetPattern::to_string() const {
  std::string out = kind == Kind::any_host ? "*" : kind == Kind::suffix ? "*" + name : name;
  if (kind == Kind::range) {
    IpRange whole = range;
    whole.port = port;
    return whole.to_string() + path;
  }
  if (port) out += ":" + std::to_string(*port);
  return out + path;
}

}  // namespace streamgate
