// Common Media Client Data (CTA-5004): what a player tells the server with each request. The keys
// `nor` and `nrr` name the next object that it will request, which for a player is a link to us.
#pragma once

#include <string>
#include <string_view>

#include "common/url.h"

namespace streamgate {

// Whether `list` has `nor` or `nrr`.
bool names_next_object(std::string_view list);

// `list` (`bl=21300,nor="..%2Fseg36.m4v"`, the decoded parameter or a field) for the upstream.
// `nor` was relative to `target`, the client's request target, and becomes relative to `upstream`,
// the URL that is requested. If it is no link to an object of the same origin, `nor` and `nrr` are
// left out. May be empty then.
std::string cmcd_for_upstream(std::string_view list, std::string_view target,
                              const HttpUrl& upstream);

// The same for the query parameter, as it was sent: `CMCD=..`. Empty if nothing of it is for the
// upstream.
std::string cmcd_parameter(std::string_view raw_value, std::string_view target,
                           const HttpUrl& upstream);

}  // namespace streamgate
