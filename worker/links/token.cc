#include "worker/links/token.h"

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include "worker/http/base64.h"
#include "worker/links/token_json.h"
#include "worker/links/upstream_url.h"

namespace streamgate {
namespace {

Error invalid(const char* rule) { return {Reason::token_invalid, rule}; }

std::string_view name_of(TokenKey::Algorithm algorithm) {
  switch (algorithm) {
    case TokenKey::Algorithm::hs256:
      return "HS256";
    case TokenKey::Algorithm::es256:
      return "ES256";
    case TokenKey::Algorithm::eddsa:
      return "EdDSA";
  }
  return {};
}

// The three parts of the compact form, still encoded.
std::optional<std::array<std::string_view, 3>> split(std::string_view token) {
  const size_t first = token.find('.');
  const size_t last = token.rfind('.');
  if (first == token.npos || first == last) return std::nullopt;
  const std::array<std::string_view, 3> parts{
      token.substr(0, first), token.substr(first + 1, last - first - 1), token.substr(last + 1)};
  if (parts[1].find('.') != token.npos) return std::nullopt;
  return parts;
}

// The id does not depend on the signature: anybody can change the signature of an ES256 token into
// a second valid one.
std::string id_of(const TokenPayload& payload, std::string_view signed_text) {
  if (payload.id && !payload.id->empty()) return *payload.id;
  std::string id;
  append_base64url(short_digest(signed_text), id);
  return id;
}

// nullopt for a claim that is no http(s) URL.
std::optional<HttpUrl> url_of(const std::string& claim) {
  auto url = parse_upstream_url(claim);
  return url ? std::optional(std::move(url->url)) : std::nullopt;
}

Result<TokenClaims> claims_of(const TokenKey& key, TokenPayload payload,
                              std::string_view signed_text) {
  TokenClaims claims;
  claims.key = &key;
  claims.expires = payload.expires.value_or(0);
  if (payload.url && !(claims.url = url_of(*payload.url))) return invalid("url");
  if (payload.prefix && !(claims.prefix = url_of(*payload.prefix))) return invalid("prefix");
  if (payload.client) {
    const auto client = IpRange::parse(*payload.client);
    if (!client || client->port) return invalid("ip");
    claims.client = *client;
  }
  claims.streams = payload.streams.value_or(0);
  claims.rate = payload.rate.value_or(0);
  claims.id = id_of(payload, signed_text);
  claims.has_id = payload.id && !payload.id->empty();
  return claims;
}

}  // namespace

Result<TokenVerifier> TokenVerifier::make(const SecurityConfig& config) {
  TokenVerifier verifier(config);
  for (const TokenKey& key : config.keys) {
    Key entry{&key, std::nullopt};
    if (key.algorithm != TokenKey::Algorithm::hs256) {
      const bool is_ecdsa = key.algorithm == TokenKey::Algorithm::es256;
      entry.public_key = PublicKey::parse(
          key.public_key_pem, is_ecdsa ? PublicKey::Kind::p256 : PublicKey::Kind::ed25519);
      if (!entry.public_key) {
        return Error{Reason::internal, "security.keys: " + key.id + ": " + key.public_key_file +
                                           (is_ecdsa ? " has no public key of the curve P-256 (PEM)"
                                                     : " has no public key of Ed25519 (PEM)")};
      }
    }
    verifier.keys_.push_back(std::move(entry));
  }
  return verifier;
}

bool TokenVerifier::is_revoked(std::string_view id) const {
  const auto& revoked = config_->revoked;
  return std::find(revoked.begin(), revoked.end(), id) != revoked.end();
}

// Null if the signature is valid for no key of the configuration.
const TokenKey* TokenVerifier::find_signer(std::string_view algorithm,
                                           const std::optional<std::string>& id,
                                           std::string_view text,
                                           std::string_view signature) const {
  for (const Key& key : keys_) {
    if (name_of(key.config->algorithm) != algorithm) continue;
    if (id && *id != key.config->id) continue;
    const bool is_right =
        key.public_key
            ? key.public_key->verify(text, signature)
            : equal_in_constant_time(hmac_sha256(key.config->secret.view(), text), signature);
    if (is_right) return key.config;
  }
  return nullptr;
}

Result<void> TokenVerifier::check_times(const Times& times, int64_t now) const {
  if (!times.expires && config_->require_expiry) return invalid("exp is missing");
  if (times.not_before && *times.not_before > now + kSkew) return invalid("nbf");
  if (times.expires && *times.expires + kSkew <= now) return Error{Reason::token_expired, {}};
  return {};
}

Result<const TokenClaims*> TokenVerifier::verify(std::string_view token, int64_t now) {
  if (token.size() > kMaxBytes) return invalid("too long");
  auto& known = verified_[std::hash<std::string_view>{}(token) % verified_.size()];
  if (known && equal_in_constant_time(known->token, token)) {
    if (auto valid = check_times(known->times, now); !valid) return std::move(valid).error();
    return &known->claims;
  }
  Times times;
  auto claims = verify_new(token, now, times);
  if (!claims) return std::move(claims).error();
  known = Verified{std::string(token), *std::move(claims), times};
  return &known->claims;
}

Result<TokenClaims> TokenVerifier::verify_new(std::string_view token, int64_t now,
                                              Times& times) const {
  const auto parts = split(token);
  if (!parts) return invalid("not a JWT");
  const auto& [header_text, payload_text, signature_text] = *parts;
  const auto header_json = decode_base64url(header_text);
  const auto payload_json = decode_base64url(payload_text);
  const auto signature = decode_base64url(signature_text);
  if (!header_json || !payload_json || !signature) return invalid("not base64url");
  const auto header = parse_token_header(*header_json);
  if (!header) return invalid("header");
  if (header->has_critical) return invalid("crit");
  const std::string_view signed_text =
      token.substr(0, header_text.size() + 1 + payload_text.size());
  const TokenKey* const key =
      find_signer(header->algorithm, header->key_id, signed_text, *signature);
  if (key == nullptr) return invalid("signature");

  // The signature is valid, so the claims are those of the operator.
  auto payload = parse_token_payload(*payload_json);
  if (!payload) return invalid("claims");
  if (payload->id && payload->id->size() > kMaxIdBytes) return invalid("jti");
  times = {payload->expires, payload->not_before};
  if (auto valid = check_times(times, now); !valid) return std::move(valid).error();
  const auto& audience = payload->audience;
  if (!key->audience.empty() &&
      std::find(audience.begin(), audience.end(), key->audience) == audience.end()) {
    return invalid("aud");
  }
  if (!key->issuer.empty() && payload->issuer != key->issuer) return invalid("iss");
  auto claims = claims_of(*key, *std::move(payload), signed_text);
  if (!claims) return claims;
  if (is_revoked(key->id) || is_revoked(claims->id)) return invalid("revoked");
  return claims;
}

}  // namespace streamgate
