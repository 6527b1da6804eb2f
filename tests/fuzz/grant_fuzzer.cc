// Tokens and grants with hostile bytes: never valid, unless the key has made them.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/check.h"
#include "worker/links/grant.h"
#include "worker/links/token.h"
#include "worker/links/upstream_url.h"
#include "worker/links/url_scope.h"

namespace {

using namespace streamgate;

SecurityConfig make_config() {
  SecurityConfig config;
  config.keys.emplace_back();
  config.keys[0].id = "k";
  config.keys[0].secret = "0123456789abcdef0123456789abcdef";
  return config;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const SecurityConfig config = make_config();
  static const TokenVerifier verifier = *TokenVerifier::make(config);
  static GrantKeys keys(config);
  const std::string_view text(reinterpret_cast<const char*>(data), size);

  CHECK(!verifier.verify(text, 0));
  const std::string_view first = text.substr(0, text.find('\n'));
  const std::string_view rest = text.substr(std::min(first.size() + 1, text.size()));
  (void)parse_token_header(first);
  (void)parse_token_payload(rest);
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
