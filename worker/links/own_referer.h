// The Referer of a client that plays a link to us, for an upstream that gets the client's own
// (`referer: client`). A browser that has opened a link sends it with each request that follows:
// with its token or grant, and with the headers and cookies that the link carries.
#pragma once

#include <string>
#include <string_view>

#include "common/url.h"

namespace streamgate {

// For a link to us the origin of the URL that the link names: a redirect or a failover may lead the
// request to another origin, which must not see the path. Empty if the link names none, if it names
// https and the upstream is http, or if the path is too long to tell. Any other Referer is returned
// as it is.
std::string referer_for_upstream(std::string_view referer, const HttpUrl& upstream);

}  // namespace streamgate
