#include "master/config/open_proxy.h"

#include <algorithm>
#include <vector>

namespace streamgate {
namespace {

bool is_in(const std::vector<IpRange>& ranges, const IpAddress& address) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const IpRange& range) { return range.contains(address); });
}

bool is_public(const SocketAddress& address) {
  return address.is_ip() && !is_in(loopback_ranges(), address.ip()) &&
         !is_in(private_ranges(), address.ip());
}

}  // namespace

std::optional<SocketAddress> open_proxy_address(const Config& config) {
  const SecurityConfig& security = config.security;
  const bool is_closed = security.auth != SecurityConfig::Auth::none || !security.allow.empty() ||
                         !security.clients.allow.empty();
  if (is_closed) return std::nullopt;
  const auto found =
      std::find_if(config.listen.begin(), config.listen.end(),
                   [](const ListenConfig& entry) { return is_public(entry.address); });
  if (found == config.listen.end()) return std::nullopt;
  return found->address;
}

}  // namespace streamgate
