#include "worker/fetch/cookies.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/ascii.h"
#include "common/config.h"
#include "common/ip_address.h"
#include "worker/fetch/cookie_date.h"
#include "worker/fetch/public_suffix.h"
#include "worker/http/base64.h"
#include "worker/http/grammar.h"

namespace streamgate {
namespace {

constexpr size_t kMaxPairBytes = size_t{4} * 1024;       // name and value, RFC 6265bis 5.6
constexpr size_t kMaxAttributeBytes = size_t{1} * 1024;  // a longer one is ignored, RFC 6265bis 5.6

bool is_ip_literal(std::string_view host) {
  return host.find(':') != host.npos || IpAddress::parse(host).has_value();
}

// RFC 6265 5.1.3. `host` may be `domain` itself. An IP address is below no other domain.
bool is_below(std::string_view host, std::string_view domain) {
  if (host == domain) return true;
  return host.size() > domain.size() && host.ends_with(domain) &&
         host[host.size() - domain.size() - 1] == '.' && !is_ip_literal(host);
}

// RFC 6265 5.1.4.
bool is_path_below(std::string_view path, std::string_view cookie_path) {
  if (!path.starts_with(cookie_path)) return false;
  return path.size() == cookie_path.size() || cookie_path.ends_with('/') ||
         path[cookie_path.size()] == '/';
}

std::string_view default_path(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == path.npos ? "/" : path.substr(0, slash);
}

// A `;` would end the value, a control byte could end the header.
bool is_cookie_text(std::string_view text) {
  return http::all_are(http::kFieldByte, text) && text.find(';') == text.npos;
}

// Removes the text before `separator` from `rest`, with the separator, and returns it.
std::string_view take_until(std::string_view& rest, char separator) {
  const size_t end = std::min(rest.find(separator), rest.size());
  const std::string_view out = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return out;
}

// `name=value`, with blanks trimmed. Without `=` the value is empty.
std::pair<std::string_view, std::string_view> split_pair(std::string_view pair) {
  const size_t equals = pair.find('=');
  const std::string_view value = equals == pair.npos ? std::string_view() : pair.substr(equals + 1);
  return {ascii::trim(pair.substr(0, equals)), ascii::trim(value)};
}

// The same for a cookie: without `=` the name is empty (RFC 6265bis 5.6).
std::pair<std::string_view, std::string_view> split_cookie(std::string_view pair) {
  if (pair.find('=') == pair.npos) return {{}, ascii::trim(pair)};
  return split_pair(pair);
}

constexpr std::string_view kSecurePrefix = "__Secure-";
constexpr std::string_view kHostPrefix = "__Host-";

// The pairs that browsers take. A cookie without a name is sent as its value alone, which must not
// look like a cookie with a name, or with one of the two prefixes (RFC 6265bis 5.7).
bool is_cookie(std::string_view name, std::string_view value) {
  if (name.size() + value.size() > kMaxPairBytes) return false;
  if (!is_cookie_text(name) || !is_cookie_text(value)) return false;
  if (!name.empty()) return true;
  return !value.empty() && value.find('=') == value.npos &&
         !ascii::istarts_with(value, kSecurePrefix) && !ascii::istarts_with(value, kHostPrefix);
}

void append_pair(std::string_view name, std::string_view value, std::string& out) {
  if (!name.empty()) out.append(name).append("=");
  out.append(value);
}

// Whether nobody on the way can have changed the answer.
bool is_trustworthy(const HttpUrl& url) {
  if (url.is_https || url.host == "localhost" || url.host.ends_with(".localhost")) return true;
  const auto address = IpAddress::parse(url.host);
  const auto contains = [&](const IpRange& range) { return range.contains(*address); };
  return address && std::any_of(loopback_ranges().begin(), loopback_ranges().end(), contains);
}

void append_escaped(std::string_view text, std::string& out) {
  for (const char c : text) {
    if (c == ' ' || c == '\t' || c == ';' || c == '%') {
      percent_encode({&c, 1}, out);
    } else {
      out += c;
    }
  }
}

// RFC 6265 5.2.2: digits, or a minus sign and digits. A number that is too large is the maximum.
std::optional<int64_t> parse_max_age(std::string_view text) {
  const bool is_negative = text.starts_with('-');
  const std::string_view digits = text.substr(is_negative ? 1 : 0);
  if (digits.empty() || !std::all_of(digits.begin(), digits.end(), ascii::is_digit)) {
    return std::nullopt;
  }
  if (is_negative) return 0;
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  return std::min(kMost, static_cast<int64_t>(ascii::parse_uint(digits).value_or(kMost)));
}

// The attributes of one Set-Cookie field; the last one of a name counts (RFC 6265 5.3).
struct Attributes {
  std::string domain;
  std::string_view path;  // empty: that of the request
  std::optional<int64_t> expires;
  std::optional<int64_t> max_age;
  bool secure = false;

  void take(std::string_view attribute) {
    auto [name, value] = split_pair(attribute);
    if (value.size() > kMaxAttributeBytes) return;
    if (ascii::iequals(name, "Domain")) {
      if (value.starts_with('.')) value.remove_prefix(1);
      domain = ascii::lower(value);
    } else if (ascii::iequals(name, "Path")) {
      path = value.starts_with('/') ? value : std::string_view();
    } else if (ascii::iequals(name, "Expires")) {
      if (const auto date = parse_cookie_date(value)) expires = date;
    } else if (ascii::iequals(name, "Max-Age")) {
      if (const auto age = parse_max_age(value)) max_age = age;
    } else if (ascii::iequals(name, "Secure")) {
      secure = true;
    }
  }

  // RFC 6265bis 5.7: `__Secure-` requires Secure and https, `__Host-` also Path=/ and no Domain.
  bool satisfy_prefix_of(std::string_view name, const HttpUrl& url) const {
    const bool is_for_host = ascii::istarts_with(name, kHostPrefix);
    if (!is_for_host && !ascii::istarts_with(name, kSecurePrefix)) return true;
    if (!secure || !is_trustworthy(url)) return false;
    return !is_for_host || (domain.empty() && path == "/");
  }
};

}  // namespace

bool Cookies::Cookie::matches(const HttpUrl& url) const {
  if (secure && !url.is_https) return false;
  if (host_only ? url.host != domain : !is_below(url.host, domain)) return false;
  return is_path_below(url.path(), path);
}

size_t Cookies::Cookie::bytes() const {
  std::string text;
  append_link_item(*this, text);
  return text.size() + 1;
}

bool Cookies::Cookie::is_same(const Cookie& other) const {
  return name == other.name && domain == other.domain && path == other.path &&
         host_only == other.host_only;
}

void Cookies::take(const HeaderFields& fields, const HttpUrl& url, int64_t now) {
  for (const HeaderField& field : fields) {
    if (!ascii::iequals(field.name, "Set-Cookie")) continue;
    auto cookie = parse_set_cookie(field.value, url, now);
    if (!cookie || (!url.is_https && is_overlay(*cookie))) continue;
    add(*std::move(cookie), now);
  }
}

// Whether a cookie set over http would be sent in place of one that https has set (RFC
// 6265bis 5.7).
bool Cookies::is_overlay(const Cookie& cookie) const {
  return std::any_of(cookies_.begin(), cookies_.end(), [&](const Cookie& known) {
    return known.secure && known.name == cookie.name &&
           (is_below(known.domain, cookie.domain) || is_below(cookie.domain, known.domain)) &&
           is_path_below(cookie.path, known.path);
  });
}

std::optional<Cookies::Cookie> Cookies::parse_set_cookie(std::string_view field, const HttpUrl& url,
                                                         int64_t now) {
  const auto [name, value] = split_cookie(take_until(field, ';'));
  if (!is_cookie(name, value)) return std::nullopt;
  Attributes attributes;
  while (!field.empty()) attributes.take(take_until(field, ';'));
  if (!attributes.satisfy_prefix_of(name, url)) return std::nullopt;

  Cookie cookie{std::string(name), std::string(value), url.host};
  if (!attributes.domain.empty() && attributes.domain != url.host) {
    if (!is_below(url.host, attributes.domain) || is_public_suffix(attributes.domain)) {
      return std::nullopt;
    }
    cookie.domain = attributes.domain;
  }
  cookie.host_only =
      attributes.domain.empty() || is_ip_literal(cookie.domain) || is_public_suffix(cookie.domain);
  cookie.path = attributes.path.empty() ? default_path(url.path()) : attributes.path;
  // A cookie that came over http is no secret. Upstreams behind a TLS front set `Secure` on http
  // too; FFmpeg sends such a cookie everywhere, browsers take it from loopback only.
  cookie.secure = attributes.secure && url.is_https;
  cookie.expiry = attributes.max_age ? now + *attributes.max_age : attributes.expires;
  if (attributes.max_age == 0) cookie.expiry = 0;
  return cookie;
}

// Replaces the cookie of the same name, domain and path. An expired cookie only removes it.
void Cookies::add(Cookie cookie, int64_t now) {
  const size_t bytes = cookie.bytes();
  if (bytes > kMaxBytes) return;
  const auto same = std::find_if(cookies_.begin(), cookies_.end(),
                                 [&](const Cookie& known) { return known.is_same(cookie); });
  const bool is_known = same != cookies_.end();
  if (is_known) bytes_ -= same->bytes();
  if (cookie.is_expired(now)) {
    if (is_known) cookies_.erase(same);
    return;
  }
  if (is_known) {
    *same = std::move(cookie);
  } else {
    cookies_.push_back(std::move(cookie));
  }
  bytes_ += bytes;
  while (cookies_.size() > kMaxCookies || bytes_ > kMaxBytes) {
    bytes_ -= cookies_.front().bytes();
    cookies_.erase(cookies_.begin());
  }
}

std::string Cookies::for_request(const HttpUrl& url, int64_t now) const {
  std::vector<const Cookie*> matching;
  for (const Cookie& cookie : cookies_) {
    if (!cookie.is_expired(now) && cookie.matches(url)) matching.push_back(&cookie);
  }
  std::stable_sort(matching.begin(), matching.end(), [](const Cookie* a, const Cookie* b) {
    return a->path.size() > b->path.size();
  });
  std::string out;
  for (const Cookie* cookie : matching) {
    if (!out.empty()) out += "; ";
    append_pair(cookie->name, cookie->value, out);
  }
  return out;
}

Cookies Cookies::from_link(std::string_view text, int64_t now) {
  Cookies out;
  const auto items = decode_base64url(text);
  if (!items) return out;
  std::string_view rest = *items;
  for (size_t taken = 0; !rest.empty() && taken < kMaxCookies; ++taken) {
    if (auto cookie = parse_link_item(take_until(rest, ' '))) out.add(*std::move(cookie), now);
  }
  return out;
}

std::optional<Cookies::Cookie> Cookies::parse_link_item(std::string_view item) {
  const std::string_view pair = take_until(item, ';');
  const size_t equals = pair.find('=');
  if (equals == pair.npos) return std::nullopt;
  Cookie cookie{
      percent_decode(pair.substr(0, equals)), percent_decode(pair.substr(equals + 1)), {}};
  while (!item.empty()) {
    const std::string_view attribute = take_until(item, ';');
    const std::string_view value = attribute.substr(std::min<size_t>(2, attribute.size()));
    if (attribute.starts_with("d=")) cookie.domain = value;
    if (attribute.starts_with("p=")) cookie.path = percent_decode(value);
    if (attribute == "s") cookie.secure = true;
    if (!attribute.starts_with("x=")) continue;
    const auto expiry = ascii::parse_uint(value);
    if (!expiry || *expiry > std::numeric_limits<int64_t>::max()) return std::nullopt;
    cookie.expiry = static_cast<int64_t>(*expiry);
  }
  if (cookie.domain.starts_with('.')) {
    cookie.domain.erase(0, 1);
    // Anyone can write a link, so the rule of take() applies to its cookies too.
    cookie.host_only = is_ip_literal(cookie.domain) || is_public_suffix(cookie.domain);
  }
  if (cookie.domain.empty() || !cookie.path.starts_with('/')) return std::nullopt;
  if (!is_cookie(cookie.name, cookie.value)) return std::nullopt;
  return cookie;
}

std::string Cookies::to_link(int64_t now) const {
  std::string items;
  for (const Cookie& cookie : cookies_) {
    if (cookie.is_expired(now)) continue;
    if (!items.empty()) items += ' ';
    append_link_item(cookie, items);
  }
  std::string out;
  append_base64url(items, out);
  return out;
}

void Cookies::append_link_item(const Cookie& cookie, std::string& out) {
  append_escaped(cookie.name, out);
  out += '=';
  append_escaped(cookie.value, out);
  out.append(cookie.host_only ? ";d=" : ";d=.").append(cookie.domain).append(";p=");
  append_escaped(cookie.path, out);
  if (cookie.secure) out += ";s";
  if (cookie.expiry) out.append(";x=").append(std::to_string(*cookie.expiry));
}

std::string merge_cookies(std::string_view own, std::string_view newer) {
  if (newer.empty()) return std::string(own);
  const auto has_newer = [newer](std::string_view name) {
    for (std::string_view rest = newer; !rest.empty();) {
      if (split_cookie(take_until(rest, ';')).first == name) return true;
    }
    return false;
  };
  std::string out;
  while (!own.empty()) {
    const std::string_view pair = ascii::trim(take_until(own, ';'));
    if (!pair.empty() && !has_newer(split_cookie(pair).first)) out.append(pair).append("; ");
  }
  return out.append(newer);
}

}  // namespace streamgate
