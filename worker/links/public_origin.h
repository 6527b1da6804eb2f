// Our own address as a client sees it, which is what the URLs in a rewritten document begin with.
#pragma once

#include <string>
#include <string_view>

#include "worker/http/message.h"

namespace streamgate {

// The URL prefix of children: `<origin><prefix>` without a path, from public_url, else from
// X-Forwarded-Proto, -Host and -Prefix if the peer is trusted (a list's first element), else from
// Host and `scheme`, by which the request came. Forwarded values that are not a plain host[:port]
// or path are ignored. Empty for an HTTP/1.0 client without Host: then children are path-only.
std::string public_origin(const RequestHead& client, std::string_view scheme, bool peer_is_trusted,
                          std::string_view public_url);

}  // namespace streamgate
