// Tokens: JSON Web Tokens (RFC 7519) in the compact form of RFC 7515, made by the operator's own
// programs. Against the attacks of RFC 8725: the algorithm is that of the key, never that of the
// token; keys in a token (`jwk`, `jku`, `x5u`) are ignored; base64url has one spelling; a token
// with a critical extension (`crit`) is rejected.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config.h"
#include "common/ip_address.h"
#include "common/result.h"
#include "worker/links/token_json.h"
#include "worker/loop/signature.h"

namespace streamgate {

// The claims of a valid token. StreamLimits (worker/exchange/stream_limits.h) enforces `streams`
// and `rate`.
struct TokenClaims {
  const TokenKey* key = nullptr;
  int64_t expires = 0;                // `exp`: seconds since 1970; 0: never
  std::optional<std::string> url;     // the only URL
  std::optional<std::string> prefix;  // the beginning of all URLs
  std::optional<IpRange> client;      // `ip`
  uint64_t streams = 0;               // 0: none
  uint64_t rate = 0;                  // bytes per second; 0: none
  std::string id;                     // `jti`; without it, a digest of the other parts
  bool has_id = false;                // the token has a `jti`
};

class TokenVerifier {
 public:
  // The longest token.
  static constexpr size_t kMaxBytes = size_t{8} * 1024;
  // The longest `jti`: each link of a playlist carries it.
  static constexpr size_t kMaxIdBytes = 256;
  // How much the clocks of two machines may differ, in seconds.
  static constexpr int64_t kSkew = 30;

  // `config` outlives the verifier. Fails with `internal` and the name of the key if a key cannot
  // be used.
  static Result<TokenVerifier> make(const SecurityConfig& config);

  // Fails with token_expired, or with token_invalid and the broken rule for the log. `now` is in
  // seconds since 1970.
  Result<TokenClaims> verify(std::string_view token, int64_t now) const;

  bool is_revoked(std::string_view id) const;

 private:
  struct Key {
    const TokenKey* config;
    std::optional<PublicKey> public_key;
  };

  explicit TokenVerifier(const SecurityConfig& config) : config_(&config) {}

  const TokenKey* find_signer(std::string_view algorithm, const std::optional<std::string>& id,
                              std::string_view text, std::string_view signature) const;
  Result<void> check_times(const TokenPayload& payload, int64_t now) const;

  const SecurityConfig* config_;
  std::vector<Key> keys_;
};

}  // namespace streamgate
