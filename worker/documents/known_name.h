// What the name in a reference shows.
#pragma once

#include <string_view>

#include "worker/links/link_context.h"

namespace streamgate {

// Whether the extension is that of a playlist, a manifest or a media file. A query and a fragment
// are ignored.
bool has_known_name(std::string_view reference);

// The kind of the link to the asset that an X-ASSET-URI or an X-URI names (RFC 8216bis appendices D
// and F). An asset without a known name may be a list of assets, which only its bytes show.
inline LinkKind link_kind_of_asset(std::string_view reference) {
  return has_known_name(reference) ? LinkKind::any : LinkKind::assets;
}

}  // namespace streamgate
