// Parses the request target of a client: the route, the upstream URL, and the link context.
//
//   GET /stream?url=<encoded>&referer=..&h_User-Agent=..&_HLS_msn=7&anything=else
//
// `url` may be anywhere in the query. `referer`, `h_*` and `sg_c` are the link context. `sg_alt`,
// at most three times, is another URL with the same content; `sg_live=1` marks a live stream;
// `sg_token` and `sg_grant` prove that the client may send the request. Every other `sg_*` is
// reserved for this proxy and ignored. `_HLS_*` replaces a parameter of the same name in the
// upstream's query; every other parameter is appended to that query, not decoded. The queries of
// the alternatives change in the same way.
//
// The url may be spelled as for a browser (upstream_url.h) or for Kodi (header_suffix.h), with
// blanks and line ends around it.
//
// `/at/<carry>/<scheme>/<authority>/<path and query>` is the same request in another form
// (path_link.h).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "common/url.h"
#include "worker/links/link_context.h"

namespace streamgate {

enum class Route { stream, health, ready, none };

// Route::stream for `/stream` and `/api/proxy/stream`, each with or without one more segment, and
// for all paths below `/at` and `/api/proxy/at`; Route::health for `/health`, Route::ready for
// `/ready`. Whole paths are compared: `/streamX` is Route::none.
Route route_of(std::string_view target);

// Whether `target` has a path of the query form: Route::stream, and not a link of the path form.
bool has_query_form(std::string_view target);

struct StreamRequest {
  HttpUrl upstream;
  // Of the query form of child URLs: `/stream` or `/api/proxy/stream`, without the further segment.
  std::string_view route_path;  // static
  LinkContext link;             // the children of the document inherit it
  bool has_headers = false;     // `link` has a referer or headers, besides those of userinfo
  // For this link only: its children do not inherit them.
  bool is_live = false;      // sg_live=1: a live body is continued after its end
  bool is_blocking = false;  // _HLS_msn: the upstream may hold its answer (RFC 8216bis 6.2.5.2)
  std::vector<UpstreamUrl> alternatives;  // sg_alt: tried in order if `upstream` fails
  // `upstream` up to a `|` that no headers follow. Browsers, FFmpeg and VLC send the `|`; Kodi ends
  // the URL there. For upstreams that do not know `upstream` (FetchRequest::before_bar).
  std::optional<HttpUrl> before_bar;
  // The proof that the client may send the request (worker/links/access_control.h).
  std::string token;  // sg_token
  std::string grant;  // sg_grant
  // Of a link of the path form (worker/links/path_link.h); empty for other links.
  std::string_view path_link_route = {};  // `/at` or `/api/proxy/at`; static
  std::string carry = {};                 // as the client sent it
  std::string scope = {};                 // of the grant and the secrets of the carry
  bool has_raw_query = false;             // sg_raw: sg_token is the upstream's
};

// Requires route_of(target) == Route::stream. bad_url for a missing, repeated or unusable url, for
// an unusable sg_alt and a fourth one; bad_request as take_link_parameter() says.
Result<StreamRequest> parse_stream_request(std::string_view target);

// Fills `request`, which must be new. After a failure its contents are unspecified. For the hot
// path: a move of a StreamRequest costs as much as parsing a short URL.
Result<void> parse_stream_request(std::string_view target, StreamRequest& request);

// The URL that the link names: that of `url` alone, without the parameters for the upstream.
// Requires and fails as above.
Result<HttpUrl> upstream_of_link(std::string_view target);

}  // namespace streamgate
