#include "worker/links/link_context.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <limits>

#include "common/ascii.h"
#include "common/reserved_fields.h"
#include "common/url.h"
#include "worker/http/field_rules.h"
#include "worker/http/grammar.h"
#include "worker/links/upstream_url.h"

namespace streamgate {
namespace {

constexpr std::string_view kReferer = "referer";
constexpr std::string_view kHeaderPrefix = "h_";
constexpr std::string_view kCookies = "sg_c";
constexpr std::string_view kVariables = "sg_v";
constexpr std::string_view kKind = "sg_k";
constexpr std::string_view kSegments = "sg_segments";
constexpr std::string_view kMaxHeight = "sg_max_height";
constexpr std::string_view kMaxBandwidth = "sg_max_bandwidth";
constexpr std::string_view kProxy = "proxy";
constexpr std::string_view kDirect = "direct";
constexpr size_t kMaxHeaders = 32;
constexpr size_t kMaxListHeaderBytes = size_t{8} * 1024;
constexpr size_t kMaxNameBytesInDetail = 64;

Error bad_request(std::string_view detail) {
  return Error::for_client(Reason::bad_request, std::string(detail));
}

Error bad_header(std::string_view name, std::string_view why) {
  return bad_request("h_" + std::string(name.substr(0, kMaxNameBytesInDetail)) +
                     " is not allowed: " + std::string(why));
}

// A Referer has no fragment (RFC 9110 10.1.3) and no userinfo. It may be spelled as for a browser.
// nullopt if `text` is no http(s) URL.
std::optional<std::string> usable_referer(std::string_view spelled) {
  const std::string text(ascii::trim(spelled.substr(0, spelled.find('#'))));
  if (http::all_are(http::kTargetByte, text) && parse_http_url(text)) return text;
  const auto plain = parse_upstream_url(text);
  if (!plain) return std::nullopt;
  return plain->url.to_string();
}

// An empty referer is ignored.
Result<void> take_referer(std::string_view raw_value, LinkContext& link) {
  if (raw_value.empty() || raw_value.front() == '#') return {};
  if (link.referer) return bad_request("repeated referer");
  link.referer = usable_referer(percent_decode(raw_value));
  if (!link.referer) return bad_request("the referer is not an http(s) URL");
  return {};
}

// A `+` is a blank here, unlike in `url` and `referer`: players that put the whole query through a
// form encoder (URLSearchParams) write one for each blank of an h_User-Agent.
Result<void> take_header(std::string_view name, std::string_view raw_value, LinkContext& link) {
  std::string encoded(raw_value);
  std::replace(encoded.begin(), encoded.end(), '+', ' ');
  const std::string decoded = percent_decode(encoded);
  const std::string_view value = ascii::trim(decoded);
  if (!http::is_token(name)) return bad_header(name, "it is not the name of a header");
  if (is_reserved_field(name)) return bad_header(name, "the proxy sets this header itself");
  if (!http::all_are(http::kFieldByte, value)) {
    return bad_header(name, "its value has a byte that no header may have");
  }
  if (link.headers.size() == kMaxHeaders) {
    return bad_request("more than " + std::to_string(kMaxHeaders) + " h_ headers");
  }
  link.headers.emplace_back(name, value);
  return {};
}

// The kinds and their words, in the order of LinkKind.
constexpr std::array<std::string_view, 6> kKinds = {"",         "assets", "steering",
                                                    "chapters", "patch",  "remote"};

std::string_view word_of(LinkKind kind) { return kKinds[static_cast<size_t>(kind)]; }

LinkKind kind_of(std::string_view word) {
  const auto found = std::find(kKinds.begin(), kKinds.end(), word);
  return found == kKinds.end() ? LinkKind::any : static_cast<LinkKind>(found - kKinds.begin());
}

// A value that this proxy has made: sg_c, sg_v.
Result<void> take_encoded(std::string_view name, std::string_view raw_value, std::string& value) {
  std::string text = percent_decode(raw_value);
  const bool is_base64url = std::all_of(text.begin(), text.end(), [](char c) {
    return ascii::is_alpha(c) || ascii::is_digit(c) || c == '-' || c == '_';
  });
  if (!value.empty() || !is_base64url || text.size() > kMaxEncodedBytes) {
    return bad_request(std::string(name) + " is not a text that this proxy has made");
  }
  value = std::move(text);
  return {};
}

Result<void> take_segments(std::string_view raw_value, PlaylistOptions& options) {
  const std::string value = percent_decode(raw_value);
  if (value != kProxy && value != kDirect) {
    return bad_request("sg_segments is neither proxy nor direct");
  }
  options.segments = value == kProxy ? HlsConfig::Segments::proxy : HlsConfig::Segments::direct;
  return {};
}

Result<void> take_limit(std::string_view name, std::string_view raw_value, unsigned& limit) {
  const auto value = ascii::parse_uint(percent_decode(raw_value));
  if (!value || *value > std::numeric_limits<unsigned>::max()) {
    return bad_request(std::string(name) + " is not a number");
  }
  limit = static_cast<unsigned>(*value);
  return {};
}

Result<void> take_own_parameter(std::string_view name, std::string_view raw_value,
                                LinkContext& link) {
  if (name == kCookies) return take_encoded(name, raw_value, link.cookies);
  if (name == kVariables) return take_encoded(name, raw_value, link.variables);
  if (name == kSegments) return take_segments(raw_value, link.options);
  if (name == kMaxHeight) return take_limit(name, raw_value, link.options.max_height);
  if (name == kMaxBandwidth) return take_limit(name, raw_value, link.options.max_bandwidth);
  link.kind = kind_of(percent_decode(raw_value));
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

void append_options(const PlaylistOptions& options, std::string& out) {
  if (options.segments) {
    const bool is_direct = *options.segments == HlsConfig::Segments::direct;
    append_parameter({}, kSegments, is_direct ? kDirect : kProxy, out);
  }
  if (options.max_height > 0) {
    append_parameter({}, kMaxHeight, std::to_string(options.max_height), out);
  }
  if (options.max_bandwidth > 0) {
    append_parameter({}, kMaxBandwidth, std::to_string(options.max_bandwidth), out);
  }
}

// The usual spelling of the headers that lists set: the letter case in a list does not change the
// text of a link.
std::string_view usual_spelling(std::string_view name) {
  constexpr std::array<std::string_view, 6> kUsual = {"User-Agent", "Referer", "Origin",
                                                      "Cookie",     "Accept",  "Authorization"};
  for (const std::string_view usual : kUsual) {
    if (ascii::iequals(usual, name)) return usual;
  }
  return name;
}

size_t size_of(const LinkContext& link) {
  size_t size = link.referer ? link.referer->size() : 0;
  for (const auto& [name, value] : link.headers) size += name.size() + value.size();
  return size;
}

auto find_header(LinkContext& link, std::string_view name) {
  return std::find_if(link.headers.begin(), link.headers.end(),
                      [&](const auto& header) { return ascii::iequals(header.first, name); });
}

bool has_header(const LinkContext& link, std::string_view name) {
  return std::any_of(link.headers.begin(), link.headers.end(),
                     [&](const auto& header) { return ascii::iequals(header.first, name); });
}

// Both spellings of the Referer count as one.
bool says_referer(const LinkContext& link) { return link.referer || has_header(link, "Referer"); }

bool says(const LinkContext& link, std::string_view name) {
  return ascii::iequals(name, "Referer") ? says_referer(link) : has_header(link, name);
}

// Whether the parameter `raw` of a query form, `h_X=..`, is one that `own` replaces.
bool is_replaced(std::string_view raw, const LinkContext& own) {
  const std::string_view name = raw.substr(0, raw.find('='));
  if (name == kReferer) return says_referer(own);
  if (!name.starts_with(kHeaderPrefix)) return false;
  return says(own, percent_decode(name.substr(kHeaderPrefix.size())));
}

// Calls `visit(raw)` for each parameter of a query form.
template <class Visit>
void for_each_parameter(std::string_view form, Visit visit) {
  while (!form.empty()) {
    form.remove_prefix(1);  // the ampersand
    const std::string_view raw = form.substr(0, form.find('&'));
    form.remove_prefix(raw.size());
    visit(raw);
  }
}

}  // namespace

bool is_link_parameter(std::string_view name) {
  if (name == kReferer || name.starts_with(kHeaderPrefix)) return true;
  if (!name.starts_with("sg_")) return false;
  constexpr std::array kOwn = {kCookies, kVariables, kKind, kSegments, kMaxHeight, kMaxBandwidth};
  return std::find(kOwn.begin(), kOwn.end(), name) != kOwn.end();
}

Result<void> take_link_parameter(std::string_view name, std::string_view raw_value,
                                 LinkContext& link) {
  if (name == kReferer) return take_referer(raw_value, link);
  if (!name.starts_with(kHeaderPrefix)) return take_own_parameter(name, raw_value, link);
  return take_header(name.substr(kHeaderPrefix.size()), raw_value, link);
}

void append_query_form(const LinkContext& link, ChildOrigin origin, std::string& out) {
  if (link.referer) append_parameter({}, kReferer, *link.referer, out);
  for (const auto& [name, value] : link.headers) {
    if (origin == ChildOrigin::other && is_secret_header(name)) continue;
    append_parameter(kHeaderPrefix, name, value, out);
  }
  if (!link.cookies.empty()) append_parameter({}, kCookies, link.cookies, out);
  append_options(link.options, out);
}

void append_whole_query_form(const LinkContext& link, std::string& out) {
  if (link.variables.empty() && link.kind == LinkKind::any) {
    return append_query_form(link, ChildOrigin::same, out);
  }
  LinkContext own;
  own.variables = link.variables;
  own.kind = link.kind;
  std::string inherited;
  append_query_form(link, ChildOrigin::same, inherited);
  append_query_form_of_child(inherited, own, out);
}

// A `&` always ends a value: in values it is percent-encoded.
QueryFormParts parts_of(std::string_view query_form) {
  std::string_view rest = query_form;
  const auto take = [&rest](std::initializer_list<std::string_view> names) {
    const char* const begin = rest.data();
    while (std::any_of(names.begin(), names.end(),
                       [&](std::string_view name) { return rest.starts_with(name); })) {
      rest.remove_prefix(std::min(rest.find('&', 1), rest.size()));
    }
    return std::string_view(begin, static_cast<size_t>(rest.data() - begin));
  };
  const std::string_view headers = take({"&referer=", "&h_", "&sg_c="});
  return {headers, take({"&sg_v=", "&sg_k="})};
}

void take_list_header(std::string_view name, std::string_view value, LinkContext& link) {
  name = usual_spelling(ascii::trim(name));
  value = ascii::trim(value);
  const bool is_quoted = value.size() >= 2 && value.front() == '"' && value.back() == '"';
  if (is_quoted) value = value.substr(1, value.size() - 2);
  if (!http::is_token(name) || is_reserved_field(name)) return;
  if (!http::all_are(http::kFieldByte, value)) return;
  if (size_of(link) + name.size() + value.size() > kMaxListHeaderBytes) return;
  const auto known = find_header(link, name);
  if (known != link.headers.end()) link.headers.erase(known);
  if (name == "Referer") {
    link.referer = usable_referer(value);
    if (link.referer) return;
  }
  if (link.headers.size() < kMaxHeaders) link.headers.emplace_back(name, value);
}

void merge_weaker(const LinkContext& weaker, LinkContext& link) {
  const bool had_referer = says_referer(link);
  if (!had_referer) link.referer = weaker.referer;
  for (const auto& [name, value] : weaker.headers) {
    const bool is_said = ascii::iequals(name, "Referer") ? had_referer : has_header(link, name);
    if (!is_said && link.headers.size() < kMaxHeaders) link.headers.emplace_back(name, value);
  }
}

void append_query_form_of_child(std::string_view inherited, const LinkContext& own,
                                std::string& out) {
  // The order is that of append_query_form(): the same values are the same text.
  if (own.referer) append_parameter({}, kReferer, *own.referer, out);
  std::string cookies;
  std::string options;
  for_each_parameter(inherited, [&](std::string_view raw) {
    if (is_replaced(raw, own)) return;
    const bool is_first_part = raw.starts_with(kReferer) || raw.starts_with(kHeaderPrefix);
    std::string& others = raw.starts_with("sg_c=") ? cookies : options;
    (is_first_part ? out : others).append("&").append(raw);
  });
  for (const auto& [name, value] : own.headers) append_parameter(kHeaderPrefix, name, value, out);
  out += cookies;
  if (!own.variables.empty()) append_parameter({}, kVariables, own.variables, out);
  if (own.kind != LinkKind::any) append_parameter({}, kKind, word_of(own.kind), out);
  out += options;
}

}  // namespace streamgate
