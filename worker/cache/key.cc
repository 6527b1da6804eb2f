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

// The length before each text keeps two texts from being read as one.
void add(std::string_view text, std::string& out) {
  out += std::to_string(text.size());
  out += ':';
  out += text;
}

bool may_share(const FetchRequest& request) {
  if (request.method != Method::get || request.trace != nullptr) return false;
  // They may have headers and credentials of their own.
  if (request.hosts != nullptr) return false;
  const bool has_secret =
      std::any_of(request.headers.begin(), request.headers.end(),
                  [](const auto& header) { return is_secret_header(header.first); }) ||
      std::any_of(request.alternatives.begin(), request.alternatives.end(),
                  [](const UpstreamUrl& url) { return !url.authorization.empty(); });
  return !has_secret && !request.has_forwarded("Icy-MetaData");
}

constexpr std::string_view kReport = "CMCD=";

bool is_shared(std::string_view field) {
  constexpr std::array<std::string_view, 5> kOfOneClient{
      "Range", "If-Range", "If-None-Match", "If-Modified-Since", "X-Playback-Session-Id"};
  return !field.starts_with("CMCD-") &&
         std::find(kOfOneClient.begin(), kOfOneClient.end(), field) == kOfOneClient.end();
}

// Removes the parameters `CMCD` (CTA-5004 2.1) from the query.
void leave_out_report(std::string& path_and_query) {
  size_t at = path_and_query.find('?');
  while (at < path_and_query.size()) {
    const size_t end = std::min(path_and_query.find('&', at + 1), path_and_query.size());
    if (path_and_query.compare(at + 1, kReport.size(), kReport) != 0) {
      at = end;
      continue;
    }
    // Together with the `&` after it, or the one before it.
    const bool is_last = end == path_and_query.size();
    path_and_query.erase(is_last ? at : at + 1, end - at);
  }
}

void add_url(const HttpUrl& url, std::string& out) {
  if (url.path_and_query.find(kReport) == std::string::npos) return add(url.to_string(), out);
  HttpUrl shared = url;
  leave_out_report(shared.path_and_query);
  add(shared.to_string(), out);
}

}  // namespace

FetchRequest shared_request(const FetchRequest& request) {
  FetchRequest out = request;
  std::erase_if(out.forwarded, [](const ForwardedField& field) { return !is_shared(field.name); });
  leave_out_report(out.url.path_and_query);
  for (UpstreamUrl& alternative : out.alternatives) {
    leave_out_report(alternative.url.path_and_query);
  }
  if (out.before_bar) leave_out_report(out.before_bar->path_and_query);
  return out;
}

std::optional<CacheKey> cache_key(const FetchRequest& request, uint64_t settings_mark) {
  if (!may_share(request)) return std::nullopt;
  std::string text = std::to_string(settings_mark) + '\n';
  add_url(request.url, text);
  text += request.is_blocking ? 'b' : '-';
  text += request.may_reconnect ? 'r' : '-';
  add(request.cookies, text);
  add(request.referer ? "r" + *request.referer : "", text);
  text += "\nheaders ";
  for (const auto& [name, value] : request.headers) {
    add(name, text);
    add(value, text);
  }
  text += "\nforwarded ";
  for (const ForwardedField& field : request.forwarded) {
    if (!is_shared(field.name)) continue;
    add(field.name, text);
    add(field.value, text);
  }
  if (!request.player_agent.empty()) add(request.player_agent, text += "\nplayer ");
  // Another CDN on the way may refuse a request that its mark says to be a loop.
  if (!request.cdn_loop.empty()) add(request.cdn_loop, text += "\nloop ");
  text += "\nalternatives ";
  for (const UpstreamUrl& url : request.alternatives) add_url(url.url, text);
  if (request.before_bar) add_url(*request.before_bar, text += "\nbefore bar ");
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
