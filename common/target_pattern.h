// One entry of security.allow, security.deny or upstream.tls.insecure_hosts: a host name, a suffix
// (`*.example.com`: any name below example.com, not example.com itself), an address or a block,
// each with an optional port, or a port alone (`*:8080`). In the allow lists it may have a path too
// (`example.com/live`).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/ip_address.h"
#include "common/result.h"

namespace streamgate {

struct TargetPattern {
  enum class Kind { any_host, host, suffix, range };
  Kind kind = Kind::any_host;
  std::string name;  // host: `example.com`; suffix: `.example.com`; lower case
  IpRange range;     // Kind::range; its own port is unused
  std::optional<uint16_t> port;
  std::string path = {};  // `/live`; empty: any

  bool operator==(const TargetPattern&) const = default;

  // Checks a name (lower case, no trailing dot) and port, before its addresses are known. A range
  // never matches a name.
  bool matches_host(std::string_view host, uint16_t candidate_port) const;
  // Checks a resolved address. Only a range matches an address.
  bool matches_address(const IpAddress& address, uint16_t candidate_port) const;

  // Whether the path of a URL is `path`, or below it. An ambiguous path (common/url_path.h) is not.
  bool matches_path(std::string_view url_path) const;

  static Result<TargetPattern> parse(std::string_view text);
  static Result<TargetPattern> parse_with_path(std::string_view text);
  std::string to_string() const;
};

}  // namespace streamgate
