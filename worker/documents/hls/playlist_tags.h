// Which tag of a playlist carries URIs, and in which of its attributes.
#pragma once

#include <string_view>

namespace streamgate {

enum class TagRule {
  no_uri,          // goes through untouched
  uri_attribute,   // URI
  key,             // URI, if the key is one that is fetched (RFC 8216bis 4.4.4.4)
  date_range,      // X-ASSET-URI, X-URI; X-ASSET-LIST is left out
  whole_value,     // the text after the colon is a URI
  drop_line,       // the line must not reach the player
  any_uri_suffix,  // URI and *-URI: tags nobody has told us about, and de-facto extensions
};

// `name` is the text between `#` and the colon, exactly; tags are case-sensitive.
TagRule tag_rule(std::string_view name);

}  // namespace streamgate
