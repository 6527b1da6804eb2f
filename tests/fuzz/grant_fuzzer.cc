// Tokens and grants with hostile bytes: never valid, unless the key has made them.
// A payload that the key has signed is valid only within its time.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/check.h"
#include "worker/http/base64.h"
#include "worker/links/grant.h"
#include "worker/links/token.h"
#include "worker/links/upstream_url.h"
#include "worker/links/url_scope.h"
#include "worker/loop/signature.h"

namespace {

using namespace streamgate;

SecurityConfig make_config() {
  SecurityConfig config;
  config.keys.emplace_back();
  config.keys[0].id = "k";
  config.keys[0].secret = "0123456789abcdef0123456789abcdef";
  return config;
}

constexpr int64_t kNow = 1'700'000'000;

std::string signed_token(std::string_view header, std::string_view payload, std::string_view key) {
  std::string token;
  append_base64url(header, token);
  token += '.';
  append_base64url(payload, token);
  const std::string mac = hmac_sha256(key, token);
  token += '.';
  append_base64url(mac, token);
  return token;
}

void check_signed(TokenVerifier& verifier, const TokenKey& key, std::string_view header,
                  std::string_view payload) {
  const auto claims = verifier.verify(signed_token(header, payload, key.secret.view()), kNow);
  if (!claims) {
    const Reason reason = claims.error().reason;
    CHECK(reason == Reason::token_invalid || reason == Reason::token_expired);
    return;
  }
  const TokenClaims& valid = **claims;
  CHECK(valid.key == &key && valid.expires > kNow - TokenVerifier::kSkew);
  CHECK(!valid.id.empty() && valid.id.size() <= TokenVerifier::kMaxIdBytes);
  const auto carried = decode_claims(encode_claims({"", valid.streams, valid.rate, valid.id}));
  CHECK(carried && carried->streams == valid.streams && carried->rate == valid.rate);
  CHECK(carried->token_id == valid.id);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const SecurityConfig config = make_config();
  static TokenVerifier verifier = *TokenVerifier::make(config);
  static GrantKeys keys(config);
  const std::string_view text(reinterpret_cast<const char*>(data), size);

  CHECK(!verifier.verify(text, 0));
  const std::string_view first = text.substr(0, text.find('\n'));
  const std::string_view rest = text.substr(std::min(first.size() + 1, text.size()));
  check_signed(verifier, config.keys[0], first, rest);
  check_signed(verifier, config.keys[0], R"({"alg":"HS256"})", text);
  if (const auto claims = decode_claims(first)) {
    if (first != "-") CHECK(encode_claims(*claims) == first);
  }
  const auto url = parse_http_url(rest);
  if (!url) return 0;
  CHECK(!keys.verify(first, *url, {}));

  // What is signed for a URL is valid for it as requests have it, and for no other host.
  const auto requested = parse_upstream_url(rest);
  if (!requested) return 0;
  Access access;
  access.key = &config.keys[0];
  GrantWriter writer;
  writer.begin(keys, access);
  const std::string_view parameter = writer.parameter_for(rest, {});
  if (parameter.empty()) return 0;
  const std::string grant(parameter.substr(parameter.find('=') + 1));
  const auto granted = keys.verify(grant, requested->url, {});
  CHECK(granted && is_in_scope(requested->url, granted->scope));
  HttpUrl other = requested->url;
  other.host += "x";
  CHECK(!keys.verify(grant, other, {}));
  return 0;
}
