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
#include "common/url.h"
#include "worker/loop/signature.h"

namespace streamgate {

// The claims of a valid token. StreamLimits (worker/exchange/stream_limits.h) enforces `streams`
// and `rate`.
struct TokenClaims {
  const TokenKey* key = nullptr;
  int64_t expires = 0;            // `exp`: seconds since 1970; 0: never
  std::optional<HttpUrl> url;     // the only URL
  std::optional<HttpUrl> prefix;  // the beginning of all URLs
  std::optional<IpRange> client;  // `ip`
  uint64_t streams = 0;           // 0: none
  uint64_t rate = 0;              // bytes per second; 0: none
  std::string id;                 // `jti`; without it, a digest of the other parts
  bool has_id = false;            // the token has a `jti`
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
  // seconds since 1970. The claims are valid until the next call.
  Result<const TokenClaims*> verify(std::string_view token, int64_t now);

  bool is_revoked(std::string_view id) const;

 private:
  struct Key {
    const TokenKey* config;
    std::optional<PublicKey> public_key;
  };

  // The claims that are checked each time.
  struct Times {
    std::optional<int64_t> expires;
    std::optional<int64_t> not_before;
  };
  struct Verified {
    std::string token;
    TokenClaims claims;
    Times times;
  };
  static constexpr size_t kVerified = 256;

  explicit TokenVerifier(const SecurityConfig& config) : config_(&config) {}

  const TokenKey* find_signer(std::string_view algorithm, const std::optional<std::string>& id,
                              std::string_view text, std::string_view signature) const;
  Result<void> check_times(const Times& times, int64_t now) const;
  Result<TokenClaims> verify_new(std::string_view token, int64_t now, Times& times) const;

  const SecurityConfig* config_;
  std::vector<Key> keys_;
  // The tokens that were verified last, indexed by their hash: a player of a live playlist sends
  // the same one every few seconds.
  std::vector<std::optional<Verified>> verified_{kVerified};
};

}  // namespace streamgate
