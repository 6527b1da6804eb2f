#include "worker/documents/date_range.h"

#include "worker/documents/known_name.h"

namespace streamgate {

bool has_address_in_x_uri(std::string_view date_range_class) {
  return date_range_class == "com.apple.hls.preload" ||
         date_range_class == "com.apple.hls.daterange-schedule";
}

std::optional<LinkKind> link_kind_of_date_range(std::string_view attribute,
                                                std::string_view value) {
  if (attribute == "X-ASSET-LIST") return LinkKind::assets;
  if (attribute != "X-ASSET-URI" && attribute != "X-URI") return std::nullopt;
  return has_known_name(value) ? LinkKind::any : LinkKind::assets;
}

}  // namespace streamgate
