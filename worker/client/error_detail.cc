#include "worker/client/error_detail.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "common/ascii.h"
#include "common/log.h"
#include "common/url.h"
#include "worker/client/client_address.h"

namespace streamgate {
namespace {

constexpr size_t kMaxDetailBytes = 512;

// Fields that proxies add to the requests of others.
bool is_of_a_proxy(std::string_view name) {
  constexpr std::array<std::string_view, 4> kNames = {"Via", "Forwarded", "X-Real-IP", "CDN-Loop"};
  return ascii::istarts_with(name, "X-Forwarded-") ||
         std::any_of(kNames.begin(), kNames.end(),
                     [&](std::string_view known) { return ascii::iequals(name, known); });
}

bool is_local(const IpAddress& address) {
  const IpAddress plain = unmapped(address);
  const auto has = [&](const std::vector<IpRange>& ranges) {
    return std::any_of(ranges.begin(), ranges.end(),
                       [&](const IpRange& range) { return range.contains(plain, 0); });
  };
  return has(loopback_ranges()) || has(private_ranges());
}

// An origin on this machine or its network: `localhost`, or a private address. Pages of public
// origins do not count: from a browser inside the network they can send requests to private
// addresses.
bool is_local_origin(std::string_view origin) {
  const auto url = parse_http_url(std::string(origin) + "/");
  if (!url) return false;
  const auto address = IpAddress::parse(url->host);
  return address ? is_local(*address) : url->host == "localhost";
}

bool is_of_an_insider(const SocketAddress& peer, const HeaderFields* fields) {
  if (!peer.is_ip() || !is_local(peer.ip()) || fields == nullptr) return false;
  return std::none_of(fields->begin(), fields->end(), [](const HeaderField& field) {
    return is_of_a_proxy(field.name) ||
           (ascii::iequals(field.name, "Origin") && !is_local_origin(field.value));
  });
}

std::string detail_for_insiders(const Error& error) {
  std::string detail = log::redact(error.detail.empty() ? error.client_detail : error.detail);
  const std::string_view key = guidance_for(error.reason, error.cause).key;
  if (key.empty() || detail.find(key) != std::string::npos) return detail;
  const std::string note = "see " + std::string(key);
  return detail.empty() ? note : detail + " (" + note + ")";
}

}  // namespace

Audience audience_of(const ErrorsConfig& config, const SocketAddress& peer,
                     const HeaderFields* fields) {
  switch (config.detail) {
    case ErrorsConfig::Detail::on:
      return Audience::insiders;
    case ErrorsConfig::Detail::off:
      return Audience::everyone;
    case ErrorsConfig::Detail::automatic:
      break;
  }
  return is_of_an_insider(peer, fields) ? Audience::insiders : Audience::everyone;
}

Error error_for(Audience audience, const Error& error) {
  Error out = error;
  if (audience == Audience::insiders) out.client_detail = detail_for_insiders(error);
  if (out.client_detail.size() > kMaxDetailBytes) out.client_detail.resize(kMaxDetailBytes);
  return out;
}

}  // namespace streamgate
