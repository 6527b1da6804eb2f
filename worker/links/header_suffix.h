// Headers after a URL, as Kodi and the lists made for it write them:
// `http://host/live.ts|User-Agent=Player%2F1.0&Referer=http://site.example/`.
#pragma once

#include <string_view>

#include "worker/links/link_context.h"

namespace streamgate {

// Returns `url` without its suffix, and adds the headers of the suffix to `link`. The suffix begins
// at the first `|` that is followed by a name and `=`, or by nothing. Further bars and blanks after
// it are skipped. In a query the name must be like that of a header: `?sig=a|exp=1` is a token. Any
// other `|` is part of the URL, as in a browser. Only the first 64 runs of bars, and 32 KiB of the
// suffix, are read.
std::string_view cut_header_suffix(std::string_view url, LinkContext& link);

// The part of `url` before its first `|`. Kodi requests only this part. Empty unless the `|` is in
// the last segment of the path: in a query it separates values, and `ids=1` is not `ids=1|2`.
std::string_view before_bar(std::string_view url);

// Adds `Name=Value&Name=Value` to `link`. Values are percent-decoded and may be in double quotes.
// Settings of Kodi that are not headers (`verifypeer`, `seekable` ..) are ignored. So are headers
// that take_list_header() ignores.
void take_header_pairs(std::string_view pairs, LinkContext& link);

// Whether a parameter called `name` that follows an unencoded `url=http://host/a.ts|Name=Value`
// belongs to the suffix, because the `&` is one of the suffix.
bool is_header_of_suffix(std::string_view name);

}  // namespace streamgate
