#include "worker/cache/key.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <string_view>

#include "worker/http/field_rules.h"
#include "worker/loop/signature.h"

namespace streamgate {
namespace {

// The length in front keeps two texts from being read as one.
void add(std::string_view text, std::string& out) {
  out += std::to_string(text.size());
  out += ':';
  out += text;
}

bool may_share(const FetchRequest& request) {
  if (request.method != Method::get || request.may_reconnect || request.trace != nullptr) {
    return false;
  }
  // They may have headers and credentials of their own.
  if (request.hosts != nullptr) return false;
  const bool has_secret =
      std::any_of(request.headers.begin(), request.headers.end(),
                  [](const auto& header) { return is_secret_header(header.first); }) ||
      std::any_of(request.alternatives.begin(), request.alternatives.end(),
                  [](const UpstreamUrl& url) { return !url.authorization.empty(); });
  return !has_secret && !request.has_forwarded("Icy-MetaData");
}

}  // namespace

bool is_range_or_condition(const ForwardedField& field) {
  constexpr std::array<std::string_view, 4> kNames{"Range", "If-Range", "If-None-Match",
                                                   "If-Modified-Since"};
  return std::find(kNames.begin(), kNames.end(), field.name) != kNames.end();
}

std::optional<CacheKey> cache_key(const FetchRequest& request, uint64_t settings_mark) {
  if (!may_share(request)) return std::nullopt;
  std::string text = std::to_string(settings_mark) + '\n';
  add(request.url.to_string(), text);
  add(request.cookies, text);
  add(request.referer ? "r" + *request.referer : "", text);
  text += "\nheaders ";
  for (const auto& [name, value] : request.headers) {
    add(name, text);
    add(value, text);
  }
  text += "\nforwarded ";
  for (const ForwardedField& field : request.forwarded) {
    if (is_range_or_condition(field)) continue;
    add(field.name, text);
    add(field.value, text);
  }
  text += "\nalternatives ";
  for (const UpstreamUrl& url : request.alternatives) add(url.url.to_string(), text);
  text += "\nallow ";
  if (request.allow != nullptr) {
    for (const TargetPattern& pattern : *request.allow) add(pattern.to_string(), text);
  }
  const auto digest = sha256(text);
  CacheKey key;
  static_assert(sizeof key.words == sizeof digest);
  std::memcpy(key.words.data(), digest.data(), digest.size());
  return key;
}

}  // namespace streamgate
