#include "worker/exchange/forwarded_request.h"

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "common/ascii.h"
#include "worker/http/field_rules.h"

namespace streamgate {
namespace {

constexpr std::array<std::string_view, 7> kForwarded = {
    "Accept",        "Accept-Language",   "Range",       "If-Range",
    "If-None-Match", "If-Modified-Since", "Icy-MetaData"};

bool is_client(const HeaderPolicy& policy) { return policy.kind == HeaderPolicy::Kind::client; }

// The canonical spelling of a field that is forwarded; empty for any other.
std::string_view forwarded_name(std::string_view name, const UpstreamConfig& config) {
  for (const std::string_view forwarded : kForwarded) {
    if (ascii::iequals(name, forwarded)) return forwarded;
  }
  if (is_client(config.user_agent) && ascii::iequals(name, "User-Agent")) return "User-Agent";
  if (is_client(config.referer) && ascii::iequals(name, "Referer")) return "Referer";
  if (is_client(config.origin) && ascii::iequals(name, "Origin")) return "Origin";
  return {};
}

void append_line(std::string_view line, std::string& list) {
  if (!list.empty()) list += ", ";
  list += line;
}

void keep_end(size_t most, std::string& text) {
  if (text.size() > most) text.erase(0, text.size() - most);
}

}  // namespace

FetchRequest make_fetch_request(HttpUrl url, const LinkContext& link, const RequestHead& client,
                                const UpstreamConfig& config) {
  FetchRequest request{client.method, std::move(url), link.referer, link.headers, link.cookies};
  const bool may_be_named = connection_names_fields(client.fields);
  for (const HeaderField& field : client.fields) {
    if (ascii::iequals(field.name, "CDN-Loop")) {
      append_line(field.value, request.cdn_loop);
      continue;
    }
    const std::string_view name = forwarded_name(field.name, config);
    if (name.empty() || (request.has_forwarded(name) && !may_repeat(name))) continue;
    if (may_be_named && is_for_this_hop(client.fields, name)) continue;
    request.forwarded.push_back({name, std::string(field.value)});
  }
  keep_end(FetchRequest::kMaxCdnLoopBytes, request.cdn_loop);
  return request;
}

}  // namespace streamgate
