#include "worker/admin/admin_access.h"

#include <algorithm>
#include <cstddef>
#include <string>

#include "common/ascii.h"
#include "common/ip_address.h"

namespace streamgate {
namespace {

// `[::1]:9090` -> `::1`, `a.example:80` -> `a.example`
std::string_view host_of(std::string_view authority) {
  if (authority.starts_with('[')) {
    const size_t end = authority.find(']');
    return end == authority.npos ? std::string_view() : authority.substr(1, end - 1);
  }
  return authority.substr(0, authority.find(':'));
}

bool is_known_host(std::string_view host, const std::vector<std::string>& hosts) {
  if (IpAddress::parse(host) || ascii::iequals(host, "localhost")) return true;
  return std::any_of(hosts.begin(), hosts.end(),
                     [host](const std::string& each) { return ascii::iequals(host, each); });
}

// An origin is `scheme://authority`. Only the authority is compared, because a front with TLS
// changes the scheme.
bool is_own_origin(std::string_view origin, std::string_view authority) {
  const size_t end_of_scheme = origin.find("://");
  return end_of_scheme != origin.npos &&
         ascii::iequals(origin.substr(end_of_scheme + 3), authority);
}

// The time depends on the length of `given` only.
bool are_equal(std::string_view given, std::string_view secret) {
  size_t difference = given.size() ^ secret.size();
  for (size_t i = 0; i < given.size(); ++i) {
    difference |= static_cast<size_t>(static_cast<unsigned char>(given[i]) ^
                                      static_cast<unsigned char>(secret[i % secret.size()]));
  }
  return difference == 0;
}

}  // namespace

const CorsConfig& no_cors() {
  static const CorsConfig kNone{.allow_origin = {}};
  return kNone;
}

std::optional<AdminRefusal> check_admin_origin(const RequestHead& request,
                                               const AdminConfig& config) {
  const std::string_view authority = field_or_empty(request.fields, "Host");
  if (!is_known_host(host_of(authority), config.hosts)) return kHostForbidden;
  const auto origin = find_field(request.fields, "Origin");
  if (origin && !is_own_origin(*origin, authority)) return kOriginForbidden;
  // Fetch Metadata; browsers send it to trustworthy origins, which loopback addresses are.
  const auto site = find_field(request.fields, "Sec-Fetch-Site");
  const bool is_foreign = site && *site != "same-origin" && *site != "none";
  const bool is_followed_link = field_or_empty(request.fields, "Sec-Fetch-Dest") == "document";
  if (is_foreign && !is_followed_link) return kOriginForbidden;
  return std::nullopt;
}

std::optional<AdminRefusal> check_admin_token(const RequestHead& request,
                                              const AdminConfig& config) {
  const std::string_view secret = config.token.view();
  if (secret.empty()) return std::nullopt;
  constexpr std::string_view kScheme = "Bearer ";
  const std::string_view given = field_or_empty(request.fields, "Authorization");
  if (!ascii::iequals(given.substr(0, kScheme.size()), kScheme)) return kTokenMissing;
  const size_t start = std::min(given.find_first_not_of(' ', kScheme.size()), given.size());
  if (!are_equal(given.substr(start), secret)) return kTokenInvalid;
  return std::nullopt;
}

}  // namespace streamgate
