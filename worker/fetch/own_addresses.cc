#include "worker/fetch/own_addresses.h"

#include <ifaddrs.h>

#include <array>
#include <memory>

namespace streamgate {
namespace {

struct FreeInterfaces {
  void operator()(ifaddrs* first) const noexcept { ::freeifaddrs(first); }
};

}  // namespace

std::vector<SocketAddress> reachable_addresses(std::span<const SocketAddress> listeners) {
  std::vector<SocketAddress> own;
  ifaddrs* interfaces = nullptr;
  if (::getifaddrs(&interfaces) != 0) interfaces = nullptr;
  const std::unique_ptr<ifaddrs, FreeInterfaces> owner(interfaces);
  for (const SocketAddress& listener : listeners) {
    if (!listener.is_ip()) continue;
    own.push_back(listener);
    if (listener.ip().bytes != std::array<uint8_t, 16>{}) continue;
    for (const ifaddrs* entry = interfaces; entry != nullptr; entry = entry->ifa_next) {
      if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != listener.family()) continue;
      const auto native = SocketAddress::from_native(entry->ifa_addr, listener.length());
      own.emplace_back(native.ip(), listener.port());
    }
  }
  return own;
}

}  // namespace streamgate
