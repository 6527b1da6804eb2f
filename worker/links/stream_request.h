// From the request target a client sent to what it wants fetched: route, upstream URL, and the
// parameters that are ours.
//
//   GET /stream?url=<encoded>&referer=..&h_User-Agent=..&_HLS_msn=7&anything=else
//
// `url` may stand anywhere in the query. `referer`, `h_*` and `sg_*` are ours; `_HLS_*` replaces a
// parameter of the same name in the upstream's query; every other parameter is appended to it, raw.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"
#include "common/url.h"

namespace streamgate {

enum class Route { stream, health, none };

// Which of our paths this is: /stream, /api/proxy/stream, each with one more segment allowed,
// /health. Compares whole paths; `/streamX` is none.
Route route_of(std::string_view target);

struct StreamRequest {
  HttpUrl upstream;
  std::string route_path;              // `/stream` or `/api/proxy/stream`, without a trailing name
  std::optional<std::string> referer;  // as given, an http(s) URL
  std::vector<std::pair<std::string, std::string>> headers;  // from h_*, decoded and validated
  std::optional<std::string> document_kind;                  // sg_k

  // Our parameters that children inherit, ready to stand behind `url=...`: `&referer=..&h_X=..`, in
  // a fixed order, encoded; so the same upstream URL always becomes the same string.
  std::string child_parameters;
  // The same without h_Authorization and h_Cookie: for children on another origin.
  std::string cross_origin_child_parameters;
};

// Requires route_of(target) == Route::stream. bad_url for a missing, repeated, too long (8 KiB) or
// unusable url; bad_request for a bad referer or h_ name or value (RFC 9110 5.5: no CR, LF, NUL).
Result<StreamRequest> parse_stream_request(std::string_view target);

}  // namespace streamgate
