#include "worker/links/path_link.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/ascii.h"
#include "common/percent_table.h"
#include "worker/http/base64.h"
#include "worker/http/field_rules.h"
#include "worker/links/cmcd.h"
#include "worker/links/same_origin_query.h"
#include "worker/links/upstream_url.h"

namespace streamgate {
namespace {

struct PathRoute {
  std::string_view path;
  std::string_view stream_path;  // of links of the query form in its documents
};
constexpr std::array<PathRoute, 2> kRoutes = {
    {{"/at", "/stream"}, {"/api/proxy/at", "/api/proxy/stream"}}};

constexpr std::string_view kEmptyCarry = "-";
constexpr std::string_view kScope = "sg_scope";
constexpr std::string_view kGrant = "sg_grant";
constexpr std::string_view kToken = "sg_token";
constexpr std::string_view kRaw = "sg_raw";

Error bad_url(const char* rule) { return Error::for_client(Reason::bad_url, rule); }

const PathRoute* find_route(std::string_view target) {
  for (const PathRoute& route : kRoutes) {
    if (target.starts_with(route.path) && target.substr(route.path.size()).starts_with('/')) {
      return &route;
    }
  }
  return nullptr;
}

// Cuts the part up to the next slash off `rest`, together with that slash.
std::string_view take_segment(std::string_view& rest) {
  const std::string_view segment = rest.substr(0, rest.find('/'));
  rest.remove_prefix(std::min(segment.size() + 1, rest.size()));
  return segment;
}

bool is_scheme(std::string_view segment) {
  return ascii::iequals(segment, "http") || ascii::iequals(segment, "https");
}

// Calls `visit(raw, name, value)` for each part between two `&`.
template <class Visit>
void for_each_part(std::string_view text, Visit visit) {
  for (;;) {
    const std::string_view raw = text.substr(0, text.find('&'));
    const size_t equals = std::min(raw.find('='), raw.size());
    visit(raw, raw.substr(0, equals), raw.substr(std::min(equals + 1, raw.size())));
    if (raw.size() == text.size()) return;
    text.remove_prefix(raw.size() + 1);
  }
}

Result<void> take_carry(std::string_view carry, StreamRequest& request) {
  request.carry = carry;
  if (carry == kEmptyCarry) return {};
  const auto text = decode_base64url(carry);
  if (!text || text->empty()) return bad_url("the carry of the link is not a text of this proxy");
  Result<void> taken;
  for_each_part(*text, [&](std::string_view, std::string_view raw_name, std::string_view value) {
    if (!taken) return;
    const std::string name = percent_decode(raw_name);
    if (name == kScope) request.scope = percent_decode(value);
    if (name == kGrant) request.grant = percent_decode(value);
    if (name == kRaw) request.has_raw_query = true;
    if (is_link_parameter(name)) taken = take_link_parameter(name, value, request.link);
  });
  return taken;
}

// Removes Authorization and Cookie where they do not belong. A carry without a scope is not ours.
void drop_foreign_secrets(StreamRequest& request) {
  const std::string origin = request.upstream.origin() + "/";
  if (request.scope.starts_with(origin)) return;
  auto& headers = request.link.headers;
  std::erase_if(headers, [](const auto& header) { return is_secret_header(header.first); });
}

// Cuts sg_token out of the query; all other bytes stay.
Result<std::string> take_token(std::string_view path_and_query, StreamRequest& request) {
  const size_t question = path_and_query.find('?');
  std::string out(path_and_query);
  if (question == out.npos || request.has_raw_query) return out;
  const std::string_view query = path_and_query.substr(question + 1);
  if (query.find(kToken) == query.npos && query.find('%') == query.npos) return out;
  out.resize(question);
  char separator = '?';
  bool is_repeated = false;
  bool is_found = false;
  for_each_part(query, [&](std::string_view raw, std::string_view name, std::string_view value) {
    if (percent_decode(name) != kToken) {
      out += std::exchange(separator, '&');
      out += raw;
      return;
    }
    is_repeated = std::exchange(is_found, true);
    request.token = percent_decode(value);
  });
  if (is_repeated) return Error::for_client(Reason::bad_request, "repeated sg_token");
  return out;
}

// A front may have escaped the brackets of an IPv6 address.
std::string plain_authority(std::string_view authority) {
  return authority.find('@') == authority.npos ? percent_decode(authority) : std::string(authority);
}

// CMCD in the query: the next object that it names is a link to us, perhaps with another carry.
void translate_cmcd(std::string_view target, HttpUrl& upstream) {
  constexpr std::string_view kCmcd = "CMCD=";
  const size_t question = upstream.path_and_query.find('?');
  if (question == std::string::npos) return;
  if (upstream.path_and_query.find(kCmcd, question) == std::string::npos) return;
  const std::string query = upstream.path_and_query.substr(question + 1);
  std::string out;
  for_each_part(query, [&](std::string_view raw, std::string_view, std::string_view value) {
    const std::string list = raw.starts_with(kCmcd) ? percent_decode(value) : std::string();
    if (!names_next_object(list)) {
      out.append("&").append(raw);
    } else if (const auto known = cmcd_for_upstream(list, target, upstream); !known.empty()) {
      percent_encode(known, out.append("&").append(kCmcd));
    }
  });
  upstream.path_and_query.resize(question);
  if (!out.empty()) upstream.path_and_query.append("?").append(out, 1);
}

Result<void> take_url(std::string_view rest, StreamRequest& request) {
  const std::string_view scheme = take_segment(rest);
  if (!is_scheme(scheme)) {
    return bad_url("the scheme of the link is not http or https");
  }
  rest = rest.substr(0, rest.find('#'));
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?"));
  const std::string plain = plain_authority(authority);
  if (plain.empty() || plain.find_first_of("/?#\\") != plain.npos) {
    return bad_url("the host is empty");
  }
  auto path_and_query = take_token(rest.substr(authority.size()), request);
  if (!path_and_query) return std::move(path_and_query).error();
  auto url = parse_upstream_url(ascii::lower(scheme) + "://" + plain + *path_and_query);
  if (!url) return std::move(url).error();
  request.upstream = std::move(url->url);
  take_same_origin_query(request.upstream.origin(), request.upstream.path_and_query);
  drop_foreign_secrets(request);
  request.has_headers = has_headers(request.link);
  if (url->authorization.empty()) return {};
  LinkContext userinfo;
  take_list_header("Authorization", url->authorization, userinfo);
  merge_weaker(userinfo, request.link);
  return {};
}

bool has_secret(std::string_view parameters) {
  bool found = false;
  for_each_part(parameters, [&](std::string_view, std::string_view name, std::string_view) {
    if (name == kGrant) found = true;
    if (name.starts_with("h_")) found = found || is_secret_header(percent_decode(name.substr(2)));
  });
  return found;
}

// `.` or `..`, as a client reads it: `%2e` is a dot (WHATWG URL, 4.1).
enum class DotSegment { none, single, twice };
DotSegment dot_segment(std::string_view segment) {
  size_t dots = 0;
  while (!segment.empty()) {
    if (segment.front() == '.') {
      segment.remove_prefix(1);
    } else if (ascii::istarts_with(segment, "%2e")) {
      segment.remove_prefix(3);
    } else {
      return DotSegment::none;
    }
    ++dots;
  }
  if (dots == 1) return DotSegment::single;
  return dots == 2 ? DotSegment::twice : DotSegment::none;
}

// Whether no prefix of `path` has more `..` than directories. `directories`: those above the path.
bool stays_below_root(std::string_view path, size_t directories) {
  for (;;) {
    const size_t end = path.find_first_of("/\\");
    const DotSegment dots = dot_segment(path.substr(0, end));
    if (dots == DotSegment::twice && directories == 0) return false;
    if (dots == DotSegment::twice) --directories;
    if (end == path.npos) return true;
    if (dots == DotSegment::none) ++directories;
    path.remove_prefix(end + 1);
  }
}

// At the beginning of a reference (WHATWG URL, 4.4): ` //host` leads to another host.
constexpr bool is_ignored_by_browsers(char c) { return static_cast<unsigned char>(c) <= ' '; }

// Whether the text before the colon is a scheme, for browsers even with tabs and line ends in it.
bool may_have_scheme(std::string_view path, size_t colon) {
  return split_uri(path).has_scheme || (byte_classes_of(path.substr(0, colon)) & kControlByte) != 0;
}

// Nearly all paths have no dot segment.
bool may_have_dot_segment(std::string_view path) {
  if (path.starts_with('.') || path.find("/.") != path.npos) return true;
  return path.find('%') != path.npos || path.find('\\') != path.npos;
}

// Whether the query has a parameter `_HLS_msn`. Some players encode the `_`.
bool has_sequence_number(std::string_view target) {
  std::string_view query = target.substr(std::min(target.find('?'), target.size()));
  if (query.find("HLS") == query.npos) return false;
  while (!query.empty()) {
    query.remove_prefix(1);  // the question mark or ampersand
    const std::string_view raw = query.substr(0, query.find('&'));
    query.remove_prefix(raw.size());
    if (percent_decode(raw.substr(0, raw.find('='))) == "_HLS_msn") return true;
  }
  return false;
}

// Reads a link whose route is known.
Result<void> read_path(std::string_view target, StreamRequest& request) {
  std::string_view rest = target.substr(request.path_link_route.size() + 1);
  if (auto taken = take_carry(take_segment(rest), request); !taken) return taken;
  if (auto taken = take_url(rest, request); !taken) return taken;
  translate_cmcd(target, request.upstream);
  request.is_blocking = has_sequence_number(rest);
  return {};
}

}  // namespace

std::string_view path_link_route_of(std::string_view target) {
  const PathRoute* route = find_route(target);
  return route == nullptr ? std::string_view() : route->path;
}

bool has_form_of_path_link(std::string_view target) {
  const std::string_view route = path_link_route_of(target);
  if (route.empty()) return false;
  target.remove_prefix(route.size() + 1);
  take_segment(target);  // the carry
  return is_scheme(take_segment(target));
}

Result<void> parse_path_link(std::string_view target, StreamRequest& request) {
  const PathRoute* route = find_route(target);
  if (route == nullptr) return bad_url("missing");
  request.route_path = route->stream_path;
  request.path_link_route = route->path;
  return read_path(target, request);
}

Result<StreamRequest> parse_path_link(std::string_view target) {
  Result<StreamRequest> request(std::in_place);
  auto parsed = parse_path_link(target, *request);
  if (!parsed) request = std::move(parsed).error();
  return request;
}

std::string carry_of(std::string_view parameters, std::string_view scope) {
  if (parameters.empty()) return std::string(kEmptyCarry);
  std::string text;
  if (has_secret(parameters)) {
    text.append(kScope).append("=");
    percent_encode(scope, text);
    text += parameters;
  } else {
    text = parameters.substr(1);  // without the ampersand
  }
  std::string carry;
  append_base64url(text, carry);
  return carry;
}

bool append_path_link(std::string_view carry, std::string_view absolute, std::string& out) {
  const UriParts url = split_uri(absolute);
  const bool is_https = ascii::iequals(url.scheme, "https");
  if (!(is_https || ascii::iequals(url.scheme, "http")) || url.authority.empty()) return false;
  if (!url.path.empty() && may_have_dot_segment(url.path) &&
      !stays_below_root(url.path.substr(1), 0)) {
    return false;
  }
  out.append("/").append(carry).append(is_https ? "/https/" : "/http/").append(url.authority);
  if (url.path.empty()) out += '/';
  const size_t path_at = static_cast<size_t>(url.path.data() - absolute.data());
  out.append(absolute.substr(path_at));
  return true;
}

bool has_token(std::string_view query) {
  for (size_t at = 0; (at = query.find(kToken, at)) != query.npos; at += kToken.size()) {
    const bool is_name = at == 0 || query[at - 1] == '?' || query[at - 1] == '&';
    if (is_name) return true;
  }
  return false;
}

bool has_query_with_token(std::string_view url) {
  const size_t question = url.find('?');
  return question != url.npos && has_token(url.substr(question));
}

size_t directories_above(std::string_view path) {
  size_t directories = 0;
  if (!path.empty()) path.remove_prefix(1);
  for (size_t slash = path.find('/'); slash != path.npos; slash = path.find('/')) {
    const DotSegment dots = dot_segment(path.substr(0, slash));
    path.remove_prefix(slash + 1);
    if (dots == DotSegment::none) ++directories;
    if (dots == DotSegment::twice && directories > 0) --directories;
  }
  return directories;
}

bool is_plain_relative(std::string_view reference) {
  if (reference.empty() || is_ignored_by_browsers(reference.front())) return false;
  if (reference.front() == '/' || reference.front() == '.') return false;
  if (ascii::find_any<'|', '\\', '%', ':'>(reference) != reference.npos) return false;
  const size_t question = reference.find('?');
  if (question != reference.npos && has_token(reference.substr(question))) return false;
  size_t dot = ascii::find_any<'.'>(reference);
  while (dot != reference.npos && reference[dot - 1] != '/') {
    dot = ascii::find_any<'.'>(reference, dot + 1);
  }
  return dot == reference.npos;
}

bool is_relative_in_place(std::string_view reference, size_t directories) {
  if (reference.empty() || reference.front() == '/' || reference.front() == '\\') return false;
  if (is_ignored_by_browsers(reference.front())) return false;
  const std::string_view path = reference.substr(0, ascii::find_any<'?', '#'>(reference));
  if (path.size() < reference.size() && has_token(reference.substr(path.size()))) return false;
  const size_t colon = path.find(':');
  if (colon != path.npos && may_have_scheme(path, colon)) return false;
  if (!may_have_dot_segment(path)) return true;
  return path.find('\\') == path.npos && stays_below_root(path, directories);
}

}  // namespace streamgate
