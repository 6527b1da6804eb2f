// The header of the PROXY protocol, versions 1 and 2: the first bytes of a connection, in which a
// load balancer sends the address of its client. Specification: proxy-protocol.txt of HAProxy.
// Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "common/result.h"
#include "common/socket_address.h"

namespace streamgate {

// The longest header that is accepted. Version 1 has at most 107 bytes. Version 2 allows 65,551;
// known senders use a few hundred (addresses, and TLS details as type-length-value fields).
constexpr size_t kMaxProxyHeaderBytes = 4096;

struct ProxyHeader {
  // Of the header, in bytes. 0: more bytes are needed, and all given ones belong to the header.
  size_t size = 0;
  // None: the sender connects for itself (LOCAL, UNKNOWN), or the client is not a TCP client over
  // IP.
  std::optional<SocketAddress> client;
};

// `bytes` are the first bytes of the connection. Fails with bad_request, and a sentence for the
// log, as soon as they cannot begin a header.
Result<ProxyHeader> parse_proxy_header(std::string_view bytes);

}  // namespace streamgate
