// Decides whether a client may send a request (security.auth: token). The request needs a token
// that the operator has signed, or a grant that the proxy has signed for a link of a document.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/config.h"
#include "common/ip_address.h"
#include "common/result.h"
#include "worker/links/grant.h"
#include "worker/links/stream_request.h"
#include "worker/links/token.h"

namespace streamgate {

// One per worker.
class AccessControl {
 public:
  // `config` outlives the object. Fails with `internal` if a key cannot be used.
  static Result<AccessControl> make(const SecurityConfig& config);

  // Whether clients may not add every parameter to a link (security.parameters).
  bool restricts_parameters() const { return config_->parameters != ParameterRules{}; }
  // parameter_forbidden for a parameter that no link has: neither that of a client nor that of a
  // playlist. check() decides about headers.
  Result<void> check_parameters(const StreamRequest& request) const;

  bool is_required() const { return config_->auth == SecurityConfig::Auth::token; }

  struct Client {
    std::string_view bearer;           // the value of Authorization; empty: none
    std::optional<IpAddress> address;  // none: a Unix socket
  };

  // Requires is_required(). `now` is in seconds since 1970. Fails with token_missing,
  // token_expired, token_invalid, token_scope (the token or grant does not cover a URL of the
  // request), token_client (another client's address) or parameter_forbidden. The token is checked
  // only if there is no valid grant. Removes sg_v and sg_k from a request that has a token and no
  // grant of this proxy: they belong to links that the proxy has signed.
  Result<Access> check(StreamRequest& request, const Client& client, int64_t now);

  const GrantKeys& grant_keys() const { return grants_; }

 private:
  AccessControl(const SecurityConfig& config, TokenVerifier tokens)
      : config_(&config), tokens_(std::move(tokens)), grants_(config) {}

  Result<Access> check_grant(const StreamRequest& request, const Client& client, int64_t now);
  Result<Access> check_token(std::string_view token, const StreamRequest& request,
                             const Client& client, int64_t now);

  const SecurityConfig* config_;
  TokenVerifier tokens_;
  GrantKeys grants_;
};

}  // namespace streamgate
