// Links of the path form:
//
//   /at/<carry>/<scheme>/<authority>/<path and query of the upstream>
//
// A relative reference in any document resolves to the right link by itself, and takes the carry
// along. `<carry>` is `-`, or base64url of the parameters that the links of a document inherit, as
// the query form has them (worker/links/link_context.h), with `sg_grant` as the last one. A carry
// with Authorization, Cookie or a grant begins with `sg_scope`, the scope that they belong to
// (worker/links/url_scope.h): a browser may have resolved `../..` into another authority.
// Authorization and Cookie are applied only on the origin of that scope. A grant is valid only
// within it.
//
// Path and query are the upstream's, byte for byte: empty segments, `%2F`, `;` and letter case are
// kept. Only `sg_token` and the marks of same_origin_query.h are removed from the query, and the
// next object that CMCD names there becomes the upstream's own reference (worker/links/cmcd.h).
// With `sg_raw` in the carry, an `sg_token` is the upstream's too.
#pragma once

#include <string>
#include <string_view>

#include "common/result.h"
#include "worker/links/stream_request.h"

namespace streamgate {

// `/at` or `/api/proxy/at` if `target` is below that path; else empty.
std::string_view path_link_route_of(std::string_view target);

// Whether `target` is below that path and has a scheme after a carry. The path of another server
// may begin with `/at` too.
bool has_form_of_path_link(std::string_view target);

// Requires path_link_route_of(target). bad_url for a target that names no http(s) URL and for a
// carry that this proxy does not make; bad_request for a repeated sg_token, and as
// take_link_parameter() says.
Result<StreamRequest> parse_path_link(std::string_view target);

// Fills `request`, which must be new. After a failure its contents are unspecified.
Result<void> parse_path_link(std::string_view target, StreamRequest& request);

// The carry of a link with these values: `parameters` is a query form, perhaps followed by the
// parameter of a grant. `scope` is that of the grant, or the child's origin; it is used only if
// `parameters` has a grant or a secret.
std::string carry_of(std::string_view parameters, std::string_view scope);

// Appends `/<carry>/<scheme>/<authority><path><?query><#fragment>`. False, with nothing appended,
// if the link cannot name `absolute`: it is no http(s) URL with a host, or clients would resolve
// dot segments of its path (`%2e%2e`) that lead out of it.
bool append_path_link(std::string_view carry, std::string_view absolute, std::string& out);

// For `parameters`: the whole query of the link is the upstream's.
inline constexpr std::string_view kRawQuery = "&sg_raw=1";

// Whether a link of the path form without `sg_raw` would lose a parameter of this query of an
// upstream, with its `?`, because it has the name of sg_token: the upstream may be a Streamgate
// too.
bool has_token(std::string_view query);
// The same for the query of a URL.
bool has_query_with_token(std::string_view url);

// Whether a client that resolves `reference` against the link of a document comes to the link of
// the right URL: it is relative, does not climb above the root of the upstream, and has no token,
// also for browsers, which leave out blanks and control bytes around it and tabs and line ends in
// it. `directories` is directories_above() the document.
bool is_relative_in_place(std::string_view reference, size_t directories);
// Whether that is certain for any document, and the reference has no headers after a `|`. Nearly
// all relative references of playlists are of this kind.
bool is_plain_relative(std::string_view reference);

// How many `..` lead from the document at `path` to the root: its directories, less those that its
// own dot segments leave.
size_t directories_above(std::string_view path);
// The same for the relative `path` of a reference in a document that has so many directories.
size_t directories_below(size_t directories, std::string_view path);

}  // namespace streamgate
