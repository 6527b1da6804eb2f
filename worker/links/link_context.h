// The values of a link to us and their text in a query: `referer`, `h_*`, `sg_c` and the options,
// which every link in its document inherits, and `sg_v` and `sg_k`, which belong to one link.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/config.h"
#include "common/result.h"

namespace streamgate {

// The kind of the document at a link, if its bytes alone do not show it (sg_k).
enum class LinkKind {
  any,
  assets,    // assets or date ranges, perhaps an asset itself (RFC 8216bis appendices D and H)
  steering,  // a steering manifest (7.2), of DASH too
  chapters,  // the chapters in session data
  patch,     // changes to a DASH manifest (ISO/IEC 23009-1 5.15)
  remote,    // elements of a DASH manifest (5.5)
};

// The options of a link, over those of the configuration.
struct PlaylistOptions {
  std::optional<HlsConfig::Segments> segments = {};  // sg_segments
  unsigned max_height = 0;                           // sg_max_height; 0: none
  unsigned max_bandwidth = 0;                        // sg_max_bandwidth
};

// The lower of two limits; 0 is none.
constexpr unsigned lower_limit(unsigned a, unsigned b) {
  if (a == 0 || b == 0) return a + b;
  return a < b ? a : b;
}

struct LinkContext {
  std::optional<std::string> referer;  // an http(s) URL without a fragment
  // Name and value, decoded and checked. A header with an empty value is not sent at all.
  std::vector<std::pair<std::string, std::string>> headers;
  // Cookies for any origin, as base64url (worker/fetch/cookies.h). Kept as it was sent: the links
  // of a live playlist are the same text at each reload.
  std::string cookies = {};
  PlaylistOptions options = {};
  // The note about the document that contains the link (worker/links/parent_note.h): the variables
  // of a multivariant playlist, or the URLs of a manifest. As it was sent.
  std::string variables = {};
  LinkKind kind = LinkKind::any;

  // Whether a child with these own values has another text than its siblings.
  bool has_own_values() const {
    return referer || !headers.empty() || !variables.empty() || kind != LinkKind::any;
  }
};

inline bool has_headers(const LinkContext& link) { return link.referer || !link.headers.empty(); }

// The longest value of sg_c and sg_v that is accepted.
inline constexpr size_t kMaxEncodedBytes = size_t{8} * 1024;

// Whether a name in a query is one of the context's: `referer`, `h_<Name>`, `sg_c`, `sg_v`, `sg_k`,
// `sg_segments`, `sg_max_height`, `sg_max_bandwidth`.
bool is_link_parameter(std::string_view name);

// Reads one parameter into `link`. `name` is decoded and is_link_parameter(); `raw_value` is as
// sent. bad_request if the referer is not an http(s) URL or is repeated, if the h_ name is not a
// token or would change the framing of the request or its loop mark (the error has the name),
// if the value holds CR, LF or NUL (RFC 9110 5.5), or after 32 headers; if sg_c or sg_v is
// repeated, longer than 8 KiB or no base64url; if an option has a value that it cannot have. An
// unknown sg_k is ignored.
Result<void> take_link_parameter(std::string_view name, std::string_view raw_value,
                                 LinkContext& link);

// The same for a header that a list or a URL gives, in any letter case; `Referer` becomes the
// referer if it can be one. The last header of a name wins. A header that take_link_parameter()
// would refuse is ignored, and so is what exceeds 8 KiB in all.
void take_list_header(std::string_view name, std::string_view value, LinkContext& link);
// Adds the values of `weaker` that `link` does not have.
void merge_weaker(const LinkContext& weaker, LinkContext& link);

// Whether the child of a link is on the origin that the link was written for.
enum class ChildOrigin { same, other };

// Appends the query form of the inherited values, which follows `url=..`:
// `&referer=..&h_X=..&sg_c=..&sg_segments=..`. The headers keep the order in which they were given,
// so that the same link always has the same text. Authorization and Cookie are left out for another
// origin; the cookies of sg_c have domains of their own.
void append_query_form(const LinkContext& link, ChildOrigin origin, std::string& out);

// The same for the origin of the link itself, with sg_v and sg_k.
void append_whole_query_form(const LinkContext& link, std::string& out);

// The parts of a query form, in their order. The options follow.
struct QueryFormParts {
  std::string_view headers;   // the referer, the headers and the cookies
  std::string_view document;  // sg_v and sg_k, by which a document is read
};
QueryFormParts parts_of(std::string_view query_form);

// Appends the query form of a child that has values of its own: `inherited`, a query form, without
// the values that `own` replaces, and those of `own`, Authorization, Cookie, sg_v and sg_k
// included.
void append_query_form_of_child(std::string_view inherited, const LinkContext& own,
                                std::string& out);

}  // namespace streamgate
