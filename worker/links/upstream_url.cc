#include "worker/links/upstream_url.h"

#include <algorithm>

#include "common/ascii.h"
#include "worker/http/base64.h"
#include "worker/links/host_name.h"

namespace streamgate {
namespace {

constexpr bool is_slash(char c) { return c == '/' || c == '\\'; }

size_t path_end_of(std::string_view text) {
  return std::min(ascii::find_any<'?', '#'>(text), text.size());
}

// Whether parse_http_url() may reject the host in this spelling.
bool needs_conversion(std::string_view host) {
  return std::any_of(host.begin(), host.end(),
                     [](char c) { return c == '%' || static_cast<unsigned char>(c) >= 0x80; });
}

// RFC 7617: `user:password`. In a URL the password may be missing. Empty for an empty userinfo.
std::string basic_authorization(std::string_view userinfo) {
  if (userinfo.empty() || userinfo == ":") return {};
  const size_t colon = std::min(userinfo.find(':'), userinfo.size());
  std::string credentials = percent_decode(userinfo.substr(0, colon)) + ":";
  if (colon < userinfo.size()) credentials += percent_decode(userinfo.substr(colon + 1));
  return "Basic " + encode_base64(credentials);
}

}  // namespace

std::string_view with_plain_slashes(std::string_view base_scheme, std::string_view reference,
                                    std::string& scratch) {
  const UriParts parts = split_uri(reference);
  if (parts.has_scheme && !is_http_scheme(parts.scheme)) return reference;
  std::string_view text = reference;
  if (parts.has_scheme) text.remove_prefix(parts.scheme.size() + 1);
  const size_t path_end = path_end_of(text);
  const auto path = text.substr(0, path_end);
  const auto slashes =
      static_cast<size_t>(std::find_if_not(path.begin(), path.end(), is_slash) - path.begin());
  const bool is_absolute =
      slashes >= 2 || (parts.has_scheme && !ascii::iequals(parts.scheme, base_scheme));
  const bool is_plain = path.find('\\') == path.npos &&
                        (is_absolute ? slashes == 2 : !parts.has_scheme || text.empty());
  if (is_plain) return reference;

  scratch.clear();
  size_t from = 0;
  if (is_absolute) {
    if (parts.has_scheme) scratch.append(parts.scheme).push_back(':');
    scratch += "//";
    from = slashes;
  } else if (parts.has_scheme && slashes == 0 && !path.empty()) {
    scratch += "./";  // the text after the scheme may look like another one: `http:a:b`
  }
  const size_t path_at = scratch.size();
  scratch += text.substr(from);
  std::replace(scratch.begin() + static_cast<ptrdiff_t>(path_at),
               scratch.begin() + static_cast<ptrdiff_t>(path_at + path_end - from), '\\', '/');
  return scratch;
}

bool has_tab_or_line_end(std::string_view text) {
  return ascii::find_any<'\t', '\n', '\r'>(text) != text.npos;
}

std::string_view without_tabs(std::string_view reference, std::string& scratch) {
  if (!has_tab_or_line_end(reference)) return reference;
  scratch.clear();
  for (const char c : reference) {
    if (!has_tab_or_line_end({&c, 1})) scratch += c;
  }
  return scratch;
}

std::string take_authorization(std::string& url) {
  const size_t slashes = url.find("//");
  if (slashes == url.npos) return {};
  const size_t authority_at = slashes + 2;
  const std::string_view authority =
      std::string_view(url).substr(authority_at, split_uri(url).authority.size());
  // A password may hold a raw `@`: the last one ends the userinfo, as in browsers.
  const size_t at = authority.rfind('@');
  const bool has_userinfo = at != authority.npos;
  // Parsers disagree on the host after a blank. The `@` stays, so the URL is refused.
  if (has_userinfo && authority.substr(0, at).find(' ') != authority.npos) return {};
  const std::string_view host_and_port = authority.substr(has_userinfo ? at + 1 : 0);
  const std::string_view host = host_and_port.substr(0, host_and_port.rfind(':'));
  const bool is_converted = needs_conversion(host);
  if (!has_userinfo && !is_converted) return {};

  const std::string authorization =
      has_userinfo ? basic_authorization(authority.substr(0, at)) : std::string();
  std::string plain(host);
  if (is_converted) plain = ascii_host(host).value_or(plain);
  plain += host_and_port.substr(host.size());
  url.replace(authority_at, authority.size(), plain);
  return authorization;
}

Result<UpstreamUrl> parse_upstream_url(std::string_view text) {
  std::string scratch;
  std::string plain(with_plain_slashes({}, text, scratch));
  std::string authorization = take_authorization(plain);
  auto url = parse_http_url(plain);
  if (!url) return std::move(url).error();
  return UpstreamUrl{*std::move(url), std::move(authorization)};
}

Result<UpstreamUrl> resolve_upstream_url(const HttpUrl& base, std::string_view location) {
  std::string reference(location);
  std::erase(reference, '\t');  // as browsers do
  const std::string base_text = base.to_string();
  std::string scratch;
  std::string resolved;
  resolve_reference(split_uri(base_text), with_plain_slashes(base.scheme(), reference, scratch),
                    resolved);
  std::string authorization = take_authorization(resolved);
  auto url = parse_http_url(resolved);
  if (!url) return std::move(url).error();
  return UpstreamUrl{*std::move(url), std::move(authorization)};
}

}  // namespace streamgate
