// IP addresses and ranges as plain values: parse, print, compare, contain. Names are not resolved.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"

namespace streamgate {

struct IpAddress {
  bool is_v4 = true;
  std::array<uint8_t, 16> bytes{};  // network order; an IPv4 address uses the first four

  auto operator<=>(const IpAddress&) const = default;

  // Strict: a dotted quad without leading zeros, or RFC 4291 text without zone and brackets.
  static std::optional<IpAddress> parse(std::string_view text);
  std::string to_string() const;
};

// An address block, and optionally one port: `10.0.0.0/8`, `fd00::/8`, `127.0.0.1`,
// `127.0.0.1:8081`, `[::1]:8081`.
struct IpRange {
  IpAddress address;
  unsigned prefix_bits = 32;
  std::optional<uint16_t> port;  // none: every port

  bool operator==(const IpRange&) const = default;
  bool contains(const IpAddress& candidate) const;
  bool contains(const IpAddress& candidate, uint16_t candidate_port) const;
  static Result<IpRange> parse(std::string_view text);  // on failure bad_request with a sentence
  std::string to_string() const;
};

}  // namespace streamgate
