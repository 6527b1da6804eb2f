#include "worker/client/client_rules.h"

#include <algorithm>

#include "worker/client/client_address.h"

namespace streamgate {

bool is_served(const SocketAddress& client, const ClientRules& rules) {
  if (!client.is_ip()) return true;
  const IpAddress address = unmapped(client.ip());
  const auto has = [&](const std::vector<IpRange>& ranges) {
    return std::any_of(ranges.begin(), ranges.end(),
                       [&](const IpRange& range) { return range.contains(address); });
  };
  if (has(rules.deny)) return false;
  return rules.allow.empty() || has(rules.allow);
}

}  // namespace streamgate
