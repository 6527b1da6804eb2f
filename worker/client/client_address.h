// The address of a request's client if the peer is a trusted proxy. Pure.
#pragma once

#include <span>

#include "common/config.h"
#include "common/ip_address.h"
#include "common/socket_address.h"
#include "worker/http/message.h"

namespace streamgate {

// Whether the peer is in one of the ranges. A Unix socket always is: its permissions decide who
// connects.
bool is_trusted(const SocketAddress& peer, std::span<const IpRange> trusted);

// The rightmost address of the field `header` that is not trusted; the leftmost one if all are
// trusted; `peer` if `peer` is not trusted. Each proxy appends the address of its own peer, so the
// addresses further left are only claims of that client. The search from the right ends at an
// element that is not a well-formed address (`unknown`, `_hidden`, a damaged text): the result is
// then the address to its right. The port is 0 if the element has none.
SocketAddress client_address(const HeaderFields& fields, ClientAddress header,
                             const SocketAddress& peer, std::span<const IpRange> trusted);

// Converts an IPv4-mapped IPv6 address (RFC 4291 2.5.5.2) to the IPv4 address, so that a client has
// the same address in both notations.
IpAddress unmapped(const IpAddress& address);

// For logs. A port of 0 is left out.
std::string text_of_client(const SocketAddress& address);

}  // namespace streamgate
