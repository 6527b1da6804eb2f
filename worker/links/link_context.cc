#include "worker/links/link_context.h"

#include <algorithm>

#include "common/ascii.h"
#include "common/reserved_fields.h"
#include "common/url.h"
#include "worker/http/field_rules.h"
#include "worker/http/grammar.h"

namespace streamgate {
namespace {

constexpr std::string_view kReferer = "referer";
constexpr std::string_view kHeaderPrefix = "h_";
constexpr std::string_view kCookies = "sg_c";
constexpr size_t kMaxHeaders = 32;
constexpr size_t kMaxCookieBytes = size_t{8} * 1024;

Error bad_request(std::string_view detail) {
  return Error{Reason::bad_request, std::string(detail)};
}

// A Referer has no fragment (RFC 9110 10.1.3). An empty one is ignored.
Result<void> take_referer(std::string_view raw_value, LinkContext& link) {
  std::string referer = percent_decode(raw_value);
  referer.resize(std::min(referer.find('#'), referer.size()));
  if (referer.empty()) return {};
  if (link.referer) return bad_request("repeated referer");
  if (!http::all_are(http::kTargetByte, referer) || !parse_http_url(referer)) {
    return bad_request("referer");
  }
  link.referer = std::move(referer);
  return {};
}

// A `+` is a blank here, unlike in `url` and `referer`: players that put the whole query through a
// form encoder (URLSearchParams) write one for each blank of an h_User-Agent.
Result<void> take_header(std::string_view name, std::string_view raw_value, LinkContext& link) {
  std::string encoded(raw_value);
  std::replace(encoded.begin(), encoded.end(), '+', ' ');
  const std::string decoded = percent_decode(encoded);
  const std::string_view value = ascii::trim(decoded);
  if (!http::is_token(name) || is_reserved_field(name)) return bad_request("h_ name");
  if (!http::all_are(http::kFieldByte, value)) return bad_request("h_ value");
  if (link.headers.size() == kMaxHeaders) return bad_request("too many h_ headers");
  link.headers.emplace_back(name, value);
  return {};
}

Result<void> take_cookies(std::string_view raw_value, LinkContext& link) {
  std::string cookies = percent_decode(raw_value);
  const bool is_base64url = std::all_of(cookies.begin(), cookies.end(), [](char c) {
    return ascii::is_alpha(c) || ascii::is_digit(c) || c == '-' || c == '_';
  });
  if (!link.cookies.empty() || !is_base64url || cookies.size() > kMaxCookieBytes) {
    return bad_request("sg_c");
  }
  link.cookies = std::move(cookies);
  return {};
}

void append_parameter(std::string_view prefix, std::string_view name, std::string_view value,
                      std::string& out) {
  out += '&';
  out += prefix;
  percent_encode(name, out);
  out += '=';
  percent_encode(value, out);
}

}  // namespace

bool is_link_parameter(std::string_view name) {
  return name == kReferer || name.starts_with(kHeaderPrefix) || name == kCookies;
}

Result<void> take_link_parameter(std::string_view name, std::string_view raw_value,
                                 LinkContext& link) {
  if (name == kReferer) return take_referer(raw_value, link);
  if (name == kCookies) return take_cookies(raw_value, link);
  return take_header(name.substr(kHeaderPrefix.size()), raw_value, link);
}

void append_query_form(const LinkContext& link, ChildOrigin origin, std::string& out) {
  if (link.referer) append_parameter({}, kReferer, *link.referer, out);
  for (const auto& [name, value] : link.headers) {
    if (origin == ChildOrigin::other && is_secret_header(name)) continue;
    append_parameter(kHeaderPrefix, name, value, out);
  }
  if (!link.cookies.empty()) append_parameter({}, kCookies, link.cookies, out);
}

}  // namespace streamgate
