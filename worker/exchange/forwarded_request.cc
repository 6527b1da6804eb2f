#include "worker/exchange/forwarded_request.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/ascii.h"
#include "worker/documents/detector.h"
#include "worker/http/field_rules.h"
#include "worker/links/cmcd.h"
#include "worker/links/own_referer.h"

namespace streamgate {
namespace {

constexpr std::array<std::string_view, 7> kForwarded = {
    "Accept",        "Accept-Language",   "Range",       "If-Range",
    "If-None-Match", "If-Modified-Since", "Icy-MetaData"};

// Fields in which a player reports about itself (CTA-5004; the last one is AVPlayer's).
constexpr std::string_view kCmcdRequest = "CMCD-Request";
constexpr std::array<std::string_view, 5> kReports = {"CMCD-Object", kCmcdRequest, "CMCD-Session",
                                                      "CMCD-Status", "X-Playback-Session-Id"};

using Hosts = std::vector<UpstreamHost>;

// The settings that may hold for a hop.
struct Settings {
  const UpstreamConfig& config;
  const Hosts* key_hosts;
};

// Whether the policy of any host is to send the client's field. The writer asks that of the hop.
bool may_be_client(const Settings& settings, HeaderPolicy UpstreamConfig::*global,
                   std::optional<HeaderPolicy> UpstreamHost::*of_host) {
  constexpr auto kClient = HeaderPolicy::Kind::client;
  const auto any_in = [&](const Hosts& hosts) {
    return std::any_of(hosts.begin(), hosts.end(), [&](const UpstreamHost& host) {
      return host.*of_host && (host.*of_host)->kind == kClient;
    });
  };
  if ((settings.config.*global).kind == kClient || any_in(settings.config.hosts)) return true;
  return settings.key_hosts != nullptr && any_in(*settings.key_hosts);
}

// Whether the answer will be rewritten as a whole, by the name or the kind of its link. A part of
// XML or JSON does not show what it is, unlike one of a playlist. An interstitial may be a media
// file.
bool asks_for_document(const HttpUrl& url, const LinkContext& link) {
  const bool has_kind = link.kind != LinkKind::any && link.kind != LinkKind::assets;
  return has_kind || is_dash(claimed_kind({}, url.path()));
}

bool is_range(std::string_view name) { return name == "Range" || name == "If-Range"; }

// The canonical spelling of a field that is forwarded; empty for any other.
std::string_view forwarded_name(std::string_view name, const Settings& settings) {
  for (const std::string_view forwarded : kForwarded) {
    if (ascii::iequals(name, forwarded)) return forwarded;
  }
  for (const std::string_view report : kReports) {
    if (ascii::iequals(name, report)) return report;
  }
  using Global = UpstreamConfig;
  using Host = UpstreamHost;
  const auto is_sent = [&](std::string_view known, auto global, auto of_host) {
    return ascii::iequals(name, known) && may_be_client(settings, global, of_host);
  };
  if (is_sent("User-Agent", &Global::user_agent, &Host::user_agent)) return "User-Agent";
  if (is_sent("Referer", &Global::referer, &Host::referer)) return "Referer";
  if (is_sent("Origin", &Global::origin, &Host::origin)) return "Origin";
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
                                const UpstreamConfig& config, const Hosts* key_hosts) {
  FetchRequest request{client.method, std::move(url), link.referer, link.headers, link.cookies};
  const bool may_be_named = connection_names_fields(client.fields);
  const bool is_document = asks_for_document(request.url, link);
  for (const HeaderField& field : client.fields) {
    if (ascii::iequals(field.name, "CDN-Loop")) {
      append_line(field.value, request.cdn_loop);
      continue;
    }
    const std::string_view name = forwarded_name(field.name, {config, key_hosts});
    if (name.empty() || (request.has_forwarded(name) && !may_repeat(name))) continue;
    if (is_document && is_range(name)) continue;
    if (may_be_named && is_for_this_hop(client.fields, name)) continue;
    std::string value(field.value);
    if (name == kCmcdRequest) value = cmcd_for_upstream(value, client.target, request.url);
    if (name == "Referer") value = referer_for_upstream(value, request.url);
    if (value.empty()) continue;
    request.forwarded.push_back({name, std::move(value)});
  }
  keep_end(FetchRequest::kMaxCdnLoopBytes, request.cdn_loop);
  return request;
}

}  // namespace streamgate
