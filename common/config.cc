#include "common/config.h"

#include <initializer_list>

#include "common/check.h"

namespace streamgate {
namespace {

std::vector<IpRange> ranges(std::initializer_list<const char*> texts) {
  std::vector<IpRange> out;
  for (const char* text : texts) {
    auto range = IpRange::parse(text);
    CHECK(range.has_value());
    out.push_back(*range);
  }
  return out;
}

}  // namespace

const std::vector<IpRange>& loopback_ranges() {
  static const std::vector<IpRange> kRanges = ranges({"127.0.0.0/8", "::1"});
  return kRanges;
}

const std::vector<IpRange>& private_ranges() {
  static const std::vector<IpRange> kRanges = ranges(
      {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"});
  return kRanges;
}

Config default_config() {
  Config config;
  config.listen.push_back({*SocketAddress::parse("0.0.0.0:8080"), std::nullopt});
  config.trusted_proxies = loopback_ranges();
  config.trusted_proxies.insert(config.trusted_proxies.end(), private_ranges().begin(),
                                private_ranges().end());
  return config;
}

}  // namespace streamgate
