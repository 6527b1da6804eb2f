// The address of the client that a request belongs to, if a trusted proxy sends its own address as
// the peer. Pure.
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

// The rightmost address of the field `header` that is not trusted; the leftmost one if all are.
// Each proxy appends the address of its own peer, so the addresses to the left are claims of that
// client. The walk ends at an element that is not a well-formed address (`unknown`, `_hidden`, a
// damaged text): the result is then the address to its right. It is `peer` if `peer` is not
// trusted. The port is 0 if the element has none.
SocketAddress client_address(const HeaderFields& fields, ClientAddress header,
                             const SocketAddress& peer, std::span<const IpRange> trusted);

// An IPv4-mapped IPv6 address (RFC 4291 2.5.5.2) as the IPv4 address, so that one client has one
// address in each of its notations.
IpAddress unmapped(const IpAddress& address);

// For logs: without a port of 0.
std::string text_of_client(const SocketAddress& address);

}  // namespace streamgate
