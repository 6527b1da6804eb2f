// Which tags of a playlist carry URIs, and in which attributes.
#pragma once

#include <string_view>

namespace streamgate {

enum class TagRule {
  no_uri,          // copied unchanged
  media,           // no URI; only a media playlist has it
  images,          // no URI; the segments are images
  list_header,     // headers for the next URI line; copied unchanged
  part,            // URI of a part
  hint,            // URI of a part, of a map or of a key, by its TYPE
  map,             // URI of an initialisation section
  key,             // URI, if players fetch the key (RFC 8216bis 4.4.4.4)
  date_range,      // X-ASSET-URI, X-ASSET-LIST, X-URI
  whole_value,     // the text after the colon is the URI of a segment
  define,          // no URI; a variable
  variant,         // the next line is the URI of a playlist; URI and *-URI
  rendition,       // URI of a playlist
  report,          // URI of a playlist beside this one
  steering,        // SERVER-URI
  session_data,    // URI
  any_uri_suffix,  // URI and *-URI: unknown tags and de-facto extensions
};

// `name` is the text between `#` and the colon. Tags are case-sensitive.
TagRule tag_rule(std::string_view name);

// Whether only multivariant playlists may have the tag (RFC 8216bis 4.4.6). `name` as above.
bool is_multivariant_tag(std::string_view name);

}  // namespace streamgate
