// Upstream URLs as people, lists and servers write them. Browsers accept more than RFC 3986:
// backslashes, missing and surplus slashes, userinfo, and hosts in any script (WHATWG URL, UTS 46).
// Nothing else is changed: dot segments and escapes stay, because upstreams compare signed URLs
// byte for byte.
#pragma once

#include <string>
#include <string_view>

#include "common/result.h"
#include "common/url.h"

namespace streamgate {

// `reference` in a spelling that RFC 3986 resolves to the URL that a browser requests. The rules
// concern references that are http(s) or have no scheme:
//
//   - A `\` before the query becomes `/`.
//   - After another scheme than the base's, all slashes together become `//`: `https:/host`,
//     `https:host`. So do two or more slashes elsewhere before the host: `http:///host`, `///host`.
//   - The base's own scheme is dropped if less than two slashes follow it: `http:x` becomes `x`.
//
// Returns `reference` itself or a view into `scratch`.
std::string_view with_plain_slashes(std::string_view base_scheme, std::string_view reference,
                                    std::string& scratch);

// Removes the userinfo from the absolute http(s) URL `url` and returns it as the value of
// Authorization, empty if there is none. A host that is not ASCII or has escapes becomes punycode.
// A host without a punycode form stays, and parse_http_url() refuses it.
std::string take_authorization(std::string& url);

// Browsers leave out tabs and line ends, wherever they stand in a URL.
bool has_tab_or_line_end(std::string_view text);
// Returns `reference` itself or a view into `scratch`.
std::string_view without_tabs(std::string_view reference, std::string& scratch);

// From the decoded `url` parameter. bad_url, with the rule for the client.
Result<UpstreamUrl> parse_upstream_url(std::string_view text);
// From a Location. bad_url.
Result<UpstreamUrl> resolve_upstream_url(const HttpUrl& base, std::string_view location);

}  // namespace streamgate
