// The name servers and search rules of a resolv.conf (resolv.conf(5)). The text is parsed here
// because c-ares 1.18 opens the file itself, which blocks on a FIFO, and takes no port.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/socket_address.h"

namespace streamgate {

struct ResolvConf {
  static constexpr size_t kMaxServers = 8;
  static constexpr size_t kMaxSearchDomains = 6;
  static constexpr unsigned kMaxDots = 15;

  std::vector<SocketAddress> servers;  // never empty; 127.0.0.1 if the text has none
  std::vector<std::string> search;     // lower case, without dots at either end
  unsigned ndots = 1;

  // Reads `nameserver` (an address, or `address:port`), `search`, `domain` and `options ndots:n`.
  // Ignores everything else, also addresses with a zone.
  static ResolvConf parse(std::string_view text);

  // The names to ask for `host`, in order. A host with `ndots` dots or more is asked as it is
  // first, any other is asked as it is last.
  std::vector<std::string> candidates(const std::string& host) const;
};

}  // namespace streamgate
