// The Referer of a client that plays a link to us, for an upstream that gets the client's own
// (`referer: client`). A browser that has opened a link sends it with each request that follows:
// with its token or grant, and with the headers and cookies that the link carries.
#pragma once

#include <string>
#include <string_view>

#include "common/url.h"

namespace streamgate {

// What a browser would send to `upstream` without the proxy: for a link to us the URL that the link
// names, or its origin alone if that is another one than the upstream's
// (strict-origin-when-cross-origin). Empty if the link names none. Any other Referer is returned as
// it is.
std::string referer_for_upstream(std::string_view referer, const HttpUrl& upstream);

}  // namespace streamgate
