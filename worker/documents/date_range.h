// The addresses in a date range (EXT-X-DATERANGE), in a playlist or in a JSON schedule of such
// (RFC 8216bis appendices D, F and H).
#pragma once

#include <optional>
#include <string_view>

#include "worker/links/link_context.h"

namespace streamgate {

// Whether the X-URI of a date range of this class is an address. Without a class it is one: a later
// tag of the same range may omit CLASS.
bool has_address_in_x_uri(std::string_view date_range_class);

// The kind of the link that the value of an attribute becomes; nullopt: it is no address. X-URI is
// only one in some classes. The X-URI of a preload must equal the attribute that it preloads
// (appendix F), which may come later, so both get the same kind of link by their name: an asset
// without a known name may be a list of assets, which only its bytes show.
std::optional<LinkKind> link_kind_of_date_range(std::string_view attribute, std::string_view value);

}  // namespace streamgate
