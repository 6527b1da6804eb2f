// The proxy through which upstreams are reached, as the configuration names it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.h"

namespace streamgate {

struct ProxyAddress {
  enum class Kind { none, http, socks5 };
  Kind kind = Kind::none;
  bool resolves_names = false;  // socks5h: the proxy resolves the names of upstreams
  std::string host;             // a name in lower case or an address literal, without brackets
  uint16_t port = 0;
  std::string user;  // empty: no credentials are sent
  std::string password;

  bool operator==(const ProxyAddress&) const = default;

  // `none`, or `http://`, `socks5://` or `socks5h://` with host and port. `user:password@` is
  // optional, and may contain %XX for any byte. Fails with bad_request and a sentence without the
  // credentials.
  static Result<ProxyAddress> parse(std::string_view text);
  std::string to_string() const;  // parse() reads it; with the password, so not for a log
  std::string for_log() const;    // scheme://host:port
};

}  // namespace streamgate
