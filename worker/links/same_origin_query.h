// Parameters that a player may send only to the origin of the manifest that it has them from
// (sameOriginOnly, ISO/IEC 23009-1 annex I). For the player all links have one origin, ours. So the
// manifest gets the parameters between two marks, the first of which names the origin, and a link
// of another origin loses them again.
#pragma once

#include <string>
#include <string_view>

namespace streamgate {

// The marks before and after such parameters in a query, each with its ampersand.
std::string same_origin_begin(std::string_view origin);
inline constexpr std::string_view kSameOriginEnd = "&sg_same_end=1";

// Removes the marks from the query of a link to `origin`, and what is between them if they name
// another one. Marks between marks stay: the upstream may be a Streamgate too.
void take_same_origin_query(std::string_view origin, std::string& path_and_query);

}  // namespace streamgate
