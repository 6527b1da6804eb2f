// Parses the two JSON objects of a token. A repeated name is an error, because libraries disagree
// on which of the two values counts (RFC 8259 4).
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

// The claims that the proxy knows. Others are ignored.
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

// nullopt for a text that is not a JSON object, is nested more than 64 levels deep, repeats a name
// or has more than 64 names in the outer object, or has a value of a wrong type for a known name.
std::optional<TokenHeader> parse_token_header(std::string_view json);
std::optional<TokenPayload> parse_token_payload(std::string_view json);

}  // namespace streamgate
