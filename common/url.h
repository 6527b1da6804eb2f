// RFC 3986 references: split, resolve, percent-encode. Text in, text out. Nothing is decoded or
// normalised unless the function says so, because upstreams compare signed URLs byte for byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.h"

namespace streamgate {

// The five components of a reference (RFC 3986 appendix B), as views into the text that was split.
struct UriParts {
  std::string_view scheme;     // without the colon
  std::string_view authority;  // without the slashes
  std::string_view path;
  std::string_view query;     // without `?`
  std::string_view fragment;  // without `#`
  bool has_scheme = false;
  bool has_authority = false;
  bool has_query = false;
  bool has_fragment = false;
};

// Splits any text; never fails. A scheme is recognised by its grammar (RFC 3986 3.1), not by a
// colon alone.
UriParts split_uri(std::string_view text);

// `http` or `https`, in any letter case. `scheme` is without the colon.
bool is_http_scheme(std::string_view scheme);

// RFC 3986 5.2.2, strict; appends to `out`. Bytes that are not allowed in a URI (blanks, controls,
// quotes, `<>\^`{|}`, bytes above 0x7e) are percent-encoded; all others stay as they are, a `%`
// that begins no escape included. The fragment is kept if `reference` has one.
void resolve_reference(const UriParts& base, std::string_view reference, std::string& out);

// All bytes except `A-Z a-z 0-9 - . _ ~` as %XX with upper-case hex: the form of `?url=`.
void percent_encode(std::string_view text, std::string& out);

// Decodes each %XX exactly once. `+`, and a `%` without two hex digits after it, stay as they are.
std::string percent_decode(std::string_view text);

// An upstream URL of valid form: http or https, no userinfo, a host that is a name or a canonical
// address literal, a port of 1 to 65535, no fragment, no control byte.
struct HttpUrl {
  bool is_https = false;
  std::string host;           // lower case; no brackets, no trailing dot
  bool host_is_ipv6 = false;  // printed with brackets
  bool host_is_ipv4 = false;
  uint16_t port = 80;
  std::string path_and_query;  // begins with `/`; as it is sent

  bool host_is_address() const { return host_is_ipv4 || host_is_ipv6; }
  std::string_view scheme() const { return is_https ? "https" : "http"; }
  std::string authority() const;           // host, and the port if it is not the scheme's own
  std::string origin() const;              // scheme://authority
  std::string to_string() const;           // origin and path_and_query
  void append_to(std::string& out) const;  // appends to_string()
  std::string_view path() const;           // path_and_query up to `?`

  bool operator==(const HttpUrl&) const = default;

 private:
  void append_authority(std::string& out) const;
  void append_origin(std::string& out) const;
};

// The ByteClass flags (common/percent_table.h) of all bytes of `text`, or-ed together.
unsigned byte_classes_of(std::string_view text);

// Strict; worker/links/upstream_url.h accepts other spellings. Errors are Reason::bad_url and name
// the broken rule for the client (numeric hosts such as 0x7f.1 are refused here).
Result<HttpUrl> parse_http_url(std::string_view text);
// The same for a text whose byte_classes_of() are known.
Result<HttpUrl> parse_http_url(std::string_view text, unsigned classes);

// An upstream URL whose userinfo has been split off.
struct UpstreamUrl {
  HttpUrl url;
  std::string authorization = {};  // the userinfo as `Basic ...`, for url's origin only; or empty

  bool operator==(const UpstreamUrl&) const = default;
};

}  // namespace streamgate
