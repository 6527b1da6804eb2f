// Headers in the tags of channel lists: #EXTVLCOPT (VLC), #KODIPROP (Kodi) and #EXTHTTP (JSON).
// They are for the next URI line.
#pragma once

#include <string_view>

#include "worker/links/link_context.h"

namespace streamgate {

// `tag` is a line without its `#`; the letter case of its name does not count, as in VLC. Adds its
// headers to `link`:
//   EXTVLCOPT:http-user-agent=..     the value as written; also http-referrer, -origin, -cookie;
//                                    Kodi also reads EXTVLCOPT--http-user-agent=..
//   KODIPROP:inputstream.adaptive.stream_headers=A=..&B=..
//                                    also manifest_headers and common_headers, or without the
//                                    prefix
//   EXTHTTP:{"A":"..","B":".."}      strings of the outer object
// Other tags and malformed tags add nothing.
void take_list_header_tag(std::string_view tag, LinkContext& link);

}  // namespace streamgate
