#include "worker/links/token_signer.h"

#include "common/ip_address.h"
#include "common/json_string.h"
#include "common/url.h"
#include "common/url_path.h"
#include "worker/http/base64.h"
#include "worker/links/stream_request.h"
#include "worker/links/url_scope.h"
#include "worker/loop/signature.h"

namespace streamgate {
namespace {

Error mistake(std::string sentence) { return {Reason::bad_request, std::move(sentence)}; }

// Only a key with a secret can sign: of other keys the configuration has only the public half.
Result<const TokenKey*> find_key(const SecurityConfig& security, const std::string& id) {
  for (const TokenKey& key : security.keys) {
    const bool can_sign = key.algorithm == TokenKey::Algorithm::hs256;
    if (id.empty() ? !can_sign : key.id != id) continue;
    if (can_sign) return &key;
    return mistake("the key " + id + " is a public key: sign the token with its private key");
  }
  return mistake(id.empty() ? "security.keys has no key with HS256"
                            : "security.keys has no key " + id);
}

void add_text(std::string_view name, std::string_view value, std::string& json) {
  if (value.empty()) return;
  json.append(",\"").append(name).append("\":");
  append_json_string(value, json);
}

std::string sign(const TokenKey& key, const std::string& payload) {
  std::string header = R"({"alg":"HS256","typ":"JWT","kid":)";
  append_json_string(key.id, header);
  header += '}';
  std::string token;
  append_base64url(header, token);
  token += '.';
  append_base64url(payload, token);
  const std::string mac = hmac_sha256(key.secret.view(), token);
  token += '.';
  append_base64url(mac, token);
  return token;
}

// Where players reach the service: public_url, or the first address.
std::string base_of(const Config& config) {
  if (!config.public_url.empty()) return config.public_url;
  if (config.listen.empty() || !config.listen.front().address.is_ip()) return "http://localhost";
  const ListenConfig& entry = config.listen.front();
  const bool is_wildcard = entry.address.ip().bytes == std::array<uint8_t, 16>{};
  const std::string authority =
      is_wildcard ? "localhost:" + std::to_string(entry.address.port()) : entry.address.to_string();
  return (entry.tls ? "https://" : "http://") + authority;
}

}  // namespace

Result<std::string> sign_link(const Config& config, const NewToken& token) {
  const auto key = find_key(config.security, token.key_id);
  if (!key) return key.error();
  std::string target = "/stream?url=";
  percent_encode(token.url, target);
  const auto request = parse_stream_request(target);  // as the service will parse the link
  if (!request) {
    return mistake("'" + token.url + "' is no http(s) URL: " + request.error().detail);
  }
  const HttpUrl& url = request->upstream;
  if (is_ambiguous_path(url.path())) return mistake("the path has dot segments");
  if (!token.client.empty()) {
    const auto client = IpRange::parse(token.client);
    if (!client || client->port) {
      return mistake("'" + token.client + "' is not an address or a block");
    }
  }
  std::string payload = "{\"exp\":" + std::to_string(token.expires);
  if (token.reach == NewToken::Reach::directory) {
    add_text("prefix", scope_of(url, directory_depth(url.path())), payload);
  } else {
    add_text("url", url.to_string(), payload);
  }
  add_text("ip", token.client, payload);
  add_text("aud", (*key)->audience, payload);
  add_text("iss", (*key)->issuer, payload);
  payload += '}';
  return base_of(config) + target + "&sg_token=" + sign(**key, payload);
}

}  // namespace streamgate
