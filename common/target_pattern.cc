#include "common/target_pattern.h"

#include <algorithm>

#include "common/ascii.h"

namespace streamgate {
namespace {

bool is_name_character(char c) {
  return ascii::is_alpha(c) || ascii::is_digit(c) || c == '-' || c == '.' || c == '_';
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
    return whole.to_string();
  }
  if (port) out += ":" + std::to_string(*port);
  return out;
}

}  // namespace streamgate
