// Decides whether a target may be fetched. It checks twice: the name and port before DNS, and each
// resolved address before connect(). Every address that is not public unicast is refused unless the
// configuration opens it. That includes addresses that embed another one: v4-mapped, NAT64, 6to4,
// Teredo, ISATAP.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/config.h"
#include "common/ip_address.h"
#include "common/result.h"
#include "common/socket_address.h"
#include "common/url.h"

namespace streamgate {

// True for addresses of the public Internet. All other addresses count as private for
// security.allow_private.
bool is_public_address(const IpAddress& address);

// Where this service is reached.
struct OwnPlaces {
  // The addresses it listens on; in place of a wildcard the machine's addresses.
  std::vector<SocketAddress> addresses = {};
  std::string_view public_url = {};  // Config::public_url
  // The addresses of the admin listener, in the same way. No setting opens them.
  std::vector<SocketAddress> admin = {};
};

class TargetGuard {
 public:
  // `config` outlives the guard.
  TargetGuard(const SecurityConfig& config, const OwnPlaces& own);

  // loop for the host and port of the public URL. target_forbidden if the name alone decides,
  // port_forbidden if only the port does. Names that mean this machine (localhost, *.localhost,
  // *.local, *.internal, *.localdomain, single labels) are refused unless all private targets are
  // allowed, or the name itself is in `allow`, or a private range is open (then the address
  // decides).
  Result<void> check_name(const HttpUrl& url) const;

  // The same for the name that a search rule of resolv.conf made of the host of `url`, which
  // check_name() has passed. The allow list is matched against the host only.
  Result<void> check_full_name(const HttpUrl& url, std::string_view full_name) const;

  // After check_name(), for a name that only another proxy resolves. target_forbidden unless an
  // entry of `allow` that is a name, a suffix or a port allows it: ranges need an address.
  Result<void> check_unresolved_name(const HttpUrl& url) const;

  // target_forbidden, loop, or for a port that browsers refuse port_forbidden. `url` is the one
  // whose name was resolved to `address`. Requires address.is_ip().
  //
  // A range in allow_private opens exactly its own addresses: 127.0.0.0/8 does not open the IPv6
  // forms that embed 127.0.0.1, and an opened NAT64 or 6to4 block still needs the IPv4 address
  // inside to be public or open too. Unspecified, multicast and v4-mapped addresses cannot be
  // opened.
  Result<void> check_address(const HttpUrl& url, const SocketAddress& address) const;

 private:
  // The rules for every name: it is not our own, not denied, and not a name of this machine or
  // site.
  Result<void> check_any_name(const HttpUrl& url, std::string_view name) const;
  // port_forbidden for a port that browsers refuse, unless security.ports has it.
  Result<void> check_port(uint16_t port) const;
  bool is_allowed_by_name(const HttpUrl& url) const;
  bool is_opened(const IpAddress& address, uint16_t port) const;

  const SecurityConfig& config_;
  std::vector<SocketAddress> own_addresses_;
  std::vector<SocketAddress> admin_addresses_;
  std::string public_host_;
  uint16_t public_port_ = 0;  // 0: no public URL
};

}  // namespace streamgate
