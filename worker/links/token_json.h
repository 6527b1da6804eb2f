// The two JSON objects of a token. Both refuse a name that stands twice: libraries disagree on
// which of the two values counts (RFC 8259 4).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace streamgate {

struct TokenHeader {
  std::string algorithm;  // `alg`
  std::optional<std::string> key_id;
  bool has_critical = false;  // `crit`
};

// The claims that mean something here. Others are ignored.
struct TokenPayload {
  std::optional<int64_t> expires;
  std::optional<int64_t> not_before;
  std::vector<std::string> audience;
  std::optional<std::string> issuer;
  std::optional<std::string> url;
  std::optional<std::string> prefix;
  std::optional<std::string> client;  // `ip`
  std::optional<std::string> id;      // `jti`
  std::optional<uint64_t> streams;
  std::optional<uint64_t> rate;
};

// nullopt for a text that is no JSON object, is nested more than 64 levels deep, has a name twice
// in the outer object, or gives a known name a value of another type.
std::optional<TokenHeader> parse_token_header(std::string_view json);
std::optional<TokenPayload> parse_token_payload(std::string_view json);

}  // namespace streamgate
