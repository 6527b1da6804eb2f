// The origin of this proxy as a client sees it. The links in a rewritten document begin with it.
#pragma once

#include <string>
#include <string_view>

#include "worker/http/message.h"

namespace streamgate {

// Returns `<origin><prefix>`, with which the URLs of our paths begin: public_url if it is set; else
// from X-Forwarded-Proto, -Host and -Prefix if the peer is trusted (the first element of a list);
// else from Host and `scheme`, the scheme of the request. Forwarded values that are not a plain
// host[:port] or path are ignored. Without any host (HTTP/1.0) only the prefix is returned, which
// may be empty.
std::string public_origin(const RequestHead& client, std::string_view scheme, bool peer_is_trusted,
                          std::string_view public_url);

// `text` without slashes at its end if it may be a prefix; else empty: `//` would begin an
// authority, and `/..` would leave the prefix.
std::string_view plain_prefix(std::string_view text);

}  // namespace streamgate
