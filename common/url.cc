#include "common/url.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

#include "common/ascii.h"
#include "common/ip_address.h"
#include "common/percent_table.h"

namespace streamgate {
namespace {

constexpr size_t kMaxHostBytes = 253;  // RFC 1035 2.3.4, without the root's length byte
constexpr size_t kMaxLabelBytes = 63;

// RFC 3986 3.1: ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ) before a colon. npos if there is none.
size_t find_scheme_end(std::string_view text) {
  if (text.empty() || !ascii::is_alpha(text.front())) return std::string_view::npos;
  for (size_t i = 1; i < text.size(); ++i) {
    const char c = text[i];
    if (c == ':') return i;
    if (!ascii::is_alpha(c) && !ascii::is_digit(c) && c != '+' && c != '-' && c != '.') break;
  }
  return std::string_view::npos;
}

// The byte that `%XX` at the beginning of `text` means, or -1 if two hexadecimal digits do not
// follow the `%`.
int byte_of_escape(std::string_view text) {
  if (text.size() < 3) return -1;
  const int high = ascii::hex_value(text[1]);
  const int low = ascii::hex_value(text[2]);
  return high < 0 || low < 0 ? -1 : 16 * high + low;
}

void append_encoded_byte(char c, std::string& out) {
  const PercentEntry& entry = percent_entry(c);
  out.append(entry.text, entry.size_and_class & 3);
}

// Appends `text`, with the bytes that are not allowed in a URI as %XX.
void append_legal(std::string_view text, std::string& out) {
  size_t copied = 0;
  for (size_t i = find_illegal(text); i < text.size(); i = find_illegal(text, copied)) {
    out.append(text.substr(copied, i - copied));
    append_encoded_byte(text[i], out);
    copied = i + 1;
  }
  out.append(text.substr(copied));
}

// Drops the last segment and the slash before it (RFC 3986 5.2.4, 2C).
void remove_last_segment(std::string& out, size_t path_start) {
  const size_t slash = out.rfind('/');
  out.resize(slash == std::string::npos || slash < path_start ? path_start : slash);
}

// Appends `path`, which is empty or begins with a slash, without its dot segments. The whole path
// begins at `path_start` in `out`. At the end of a path, a last dot segment keeps its slash.
enum class PathPart { directory, end };
void append_segments(std::string_view path, PathPart part, size_t path_start, std::string& out) {
  // Nearly all paths stay as they are.
  if (path.find("/.") == path.npos && find_illegal(path) == path.size()) {
    out.append(path);
    return;
  }
  while (!path.empty()) {
    const size_t next = path.find('/', 1);
    const std::string_view segment = path.substr(1, next == path.npos ? path.npos : next - 1);
    const bool is_last = next == path.npos;
    if (segment == "." || segment == "..") {
      if (segment == "..") remove_last_segment(out, path_start);
      if (is_last && part == PathPart::end) out.push_back('/');
    } else {
      out.push_back('/');
      append_legal(segment, out);
    }
    path = is_last ? std::string_view() : path.substr(next);
  }
}

// RFC 3986 5.2.4 for a path that may lack its leading slash (2A, 2D).
void append_path(std::string_view path, std::string& out) {
  const size_t path_start = out.size();
  if (path.empty() || path.front() == '/') {
    return append_segments(path, PathPart::end, path_start, out);
  }
  for (;;) {
    if (path.substr(0, 2) == "./") {
      path.remove_prefix(2);
    } else if (path.substr(0, 3) == "../") {
      path.remove_prefix(3);
    } else {
      break;
    }
  }
  if (path == "." || path == "..") return;
  const std::string_view first = path.substr(0, path.find('/'));
  append_legal(first, out);
  append_segments(path.substr(first.size()), PathPart::end, path_start, out);
}

// RFC 3986 5.2.3, then 5.2.4 on the result, without building it first.
void append_merged_path(const UriParts& base, std::string_view path, std::string& out) {
  const size_t slash = base.path.rfind('/');
  if (slash == base.path.npos && !(base.has_authority && base.path.empty())) {
    return append_path(path, out);
  }
  const size_t path_start = out.size();
  if (slash != base.path.npos) {
    // append_segments() needs a leading slash; only a base without a host has a path without one.
    const std::string_view directory = base.path.substr(0, slash);
    if (!directory.empty() && directory.front() != '/') {
      std::string merged(base.path.substr(0, slash + 1));
      return append_path(merged.append(path), out);
    }
    append_segments(directory, PathPart::directory, path_start, out);
  }
  const std::string_view first = path.substr(0, path.find('/'));
  const bool only_segment = first.size() == path.size();
  if (first == "." || first == "..") {
    if (first == "..") remove_last_segment(out, path_start);
    if (only_segment) out.push_back('/');
  } else {
    out.push_back('/');
    append_legal(first, out);
  }
  append_segments(path.substr(first.size()), PathPart::end, path_start, out);
}

void append_query(std::string_view query, std::string& out) {
  out.push_back('?');
  append_legal(query, out);
}

Error bad_url(const char* rule) { return Error::for_client(Reason::bad_url, rule); }

// The rule that `host` (lower case, no trailing dot) breaks as a name of DNS; null: none.
const char* find_name_problem(std::string_view host) {
  if (host.empty()) return "the host is empty";
  if (host.size() > kMaxHostBytes) return "the host is longer than 253 bytes";
  size_t label_start = 0;
  for (size_t i = 0; i <= host.size(); ++i) {
    if (i == host.size() || host[i] == '.') {
      if (i == label_start) return "the host has an empty label";
      if (i - label_start > kMaxLabelBytes) return "a label of the host is longer than 63 bytes";
      label_start = i + 1;
      continue;
    }
    const char c = host[i];
    if (!ascii::is_alpha(c) && !ascii::is_digit(c) && c != '-' && c != '_') {
      return "the host has a byte that is not allowed in a host name";
    }
  }
  return nullptr;
}

// Some implementations of inet_aton read a host that ends in a number as an IPv4 address (127.1,
// 0x7f.1).
bool ends_in_number(std::string_view host) {
  const std::string_view label = host.substr(host.rfind('.') + 1);
  return label.starts_with("0x") || std::all_of(label.begin(), label.end(), ascii::is_digit);
}

// A dotted quad without leading zeros.
bool is_dotted_quad(std::string_view host) {
  const auto address = IpAddress::parse(host);
  return address && address->is_v4;
}

// The canonical text of an IPv6 address (RFC 5952, as inet_ntop writes it); zones are refused.
std::optional<std::string> canonical_ipv6(std::string_view text) {
  char spelled[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof spelled) return std::nullopt;
  std::memcpy(spelled, text.data(), text.size());
  spelled[text.size()] = '\0';
  in6_addr address;
  if (inet_pton(AF_INET6, spelled, &address) != 1) return std::nullopt;
  if (inet_ntop(AF_INET6, &address, spelled, sizeof spelled) == nullptr) return std::nullopt;
  return std::string(spelled);
}

// Cuts `:port` off the end of `authority`; the empty port of RFC 3986 3.2.3 is the default.
Result<uint16_t> take_port(std::string_view& authority, size_t colon, uint16_t default_port) {
  const std::string_view digits = authority.substr(colon + 1);
  authority = authority.substr(0, colon);
  if (digits.empty()) return default_port;
  const std::optional<uint64_t> port = ascii::parse_uint(digits);
  if (!port || *port == 0 || *port > 65535) return bad_url("the port is not 1 to 65535");
  return static_cast<uint16_t>(*port);
}

Result<void> parse_authority(std::string_view authority, HttpUrl& url) {
  if (authority.find('@') != authority.npos) return bad_url("userinfo is not allowed");
  const bool is_bracketed = !authority.empty() && authority.front() == '[';
  const size_t bracket = is_bracketed ? authority.find(']') : 0;
  if (bracket == authority.npos) return bad_url("the bracket of the host is not closed");
  const size_t colon = authority.find(':', bracket);
  if (colon != authority.npos) {
    const Result<uint16_t> port = take_port(authority, colon, url.port);
    if (!port) return port.error();
    url.port = *port;
  }
  if (is_bracketed) {
    if (bracket + 1 != authority.size()) return bad_url("only a port may follow the bracket");
    std::optional<std::string> address = canonical_ipv6(authority.substr(1, bracket - 1));
    if (!address) return bad_url("the bracketed host is not an IPv6 address");
    url.host = *std::move(address);
    url.host_is_ipv6 = true;
    return {};
  }
  if (!authority.empty() && authority.back() == '.') authority.remove_suffix(1);
  url.host = ascii::lower(authority);
  if (const char* problem = find_name_problem(url.host)) return bad_url(problem);
  url.host_is_ipv4 = ends_in_number(url.host);
  if (url.host_is_ipv4 && !is_dotted_quad(url.host)) {
    return bad_url("a numeric host must be a plain dotted quad");
  }
  return {};
}

}  // namespace

UriParts split_uri(std::string_view text) {
  UriParts parts;
  if (const size_t colon = find_scheme_end(text); colon != text.npos) {
    parts.has_scheme = true;
    parts.scheme = text.substr(0, colon);
    text.remove_prefix(colon + 1);
  }
  if (const size_t hash = text.find('#'); hash != text.npos) {
    parts.has_fragment = true;
    parts.fragment = text.substr(hash + 1);
    text = text.substr(0, hash);
  }
  if (const size_t mark = text.find('?'); mark != text.npos) {
    parts.has_query = true;
    parts.query = text.substr(mark + 1);
    text = text.substr(0, mark);
  }
  if (text.substr(0, 2) == "//") {
    parts.has_authority = true;
    const size_t slash = text.find('/', 2);
    parts.authority = text.substr(2, slash == text.npos ? text.npos : slash - 2);
    text.remove_prefix(2 + parts.authority.size());
  }
  parts.path = text;
  return parts;
}

bool is_http_scheme(std::string_view scheme) {
  return ascii::iequals(scheme, "http") || ascii::iequals(scheme, "https");
}

void resolve_reference(const UriParts& base, std::string_view reference, std::string& out) {
  const UriParts parts = split_uri(reference);
  const UriParts& scheme_from = parts.has_scheme ? parts : base;
  const UriParts& authority_from = parts.has_scheme || parts.has_authority ? parts : base;
  if (scheme_from.has_scheme) out.append(scheme_from.scheme).push_back(':');
  if (authority_from.has_authority) append_legal(authority_from.authority, out.append("//"));
  if (&authority_from == &parts || parts.path.substr(0, 1) == "/") {
    append_path(parts.path, out);
  } else if (parts.path.empty()) {
    append_legal(base.path, out);  // 5.2.2 keeps the base's path as it is
    if (!parts.has_query && base.has_query) append_query(base.query, out);
  } else {
    append_merged_path(base, parts.path, out);
  }
  if (parts.has_query) append_query(parts.query, out);
  if (parts.has_fragment) {
    out.push_back('#');
    append_legal(parts.fragment, out);
  }
}

void percent_encode(std::string_view text, std::string& out) {
  const size_t start = out.size();
  out.resize(start + percent_encoded_bound(text.size()));
  unsigned classes = 0;
  const char* end = percent_encode_to(text, out.data() + start, classes);
  out.resize(static_cast<size_t>(end - out.data()));
}

std::string percent_decode(std::string_view text) {
  std::string out(text);
  size_t escape = ascii::find_any<'%'>(text);
  if (escape == text.npos) return out;
  char* end = out.data() + escape;
  while (escape < text.size()) {
    const int byte = byte_of_escape(text.substr(escape));
    *end++ = byte < 0 ? '%' : static_cast<char>(byte);
    const size_t escape_end = escape + (byte < 0 ? 1 : 3);
    escape = std::min(ascii::find_any<'%'>(text, escape_end), text.size());
    end = std::copy(text.begin() + escape_end, text.begin() + escape, end);
  }
  out.resize(static_cast<size_t>(end - out.data()));
  return out;
}

void HttpUrl::append_authority(std::string& out) const {
  if (host_is_ipv6) out += '[';
  out += host;
  if (host_is_ipv6) out += ']';
  if (port == (is_https ? 443 : 80)) return;
  char digits[5];
  const auto written = std::to_chars(digits, digits + sizeof digits, port);
  out += ':';
  out.append(digits, static_cast<size_t>(written.ptr - digits));
}

void HttpUrl::append_origin(std::string& out) const {
  out.reserve(out.size() + host.size() + path_and_query.size() + 16);
  out += is_https ? std::string_view("https://") : std::string_view("http://");
  append_authority(out);
}

std::string HttpUrl::authority() const {
  std::string text;
  append_authority(text);
  return text;
}

std::string HttpUrl::origin() const {
  std::string text;
  append_origin(text);
  return text;
}

std::string HttpUrl::to_string() const {
  std::string text;
  append_to(text);
  return text;
}

void HttpUrl::append_to(std::string& out) const {
  append_origin(out);
  out += path_and_query;
}

std::string_view HttpUrl::path() const {
  const std::string_view text = path_and_query;
  return text.substr(0, text.find('?'));
}

unsigned byte_classes_of(std::string_view text) {
  unsigned classes = 0;
  for (const char c : text) classes |= percent_entry(c).size_and_class;
  return classes;
}

Result<HttpUrl> parse_http_url(std::string_view text) {
  return parse_http_url(text, byte_classes_of(text));
}

Result<HttpUrl> parse_http_url(std::string_view text, unsigned classes) {
  if ((classes & kControlByte) != 0) return bad_url("a control byte in the URL");

  HttpUrl url;
  if (ascii::istarts_with(text, "https://")) {
    url.is_https = true;
    url.port = 443;
  } else if (!ascii::istarts_with(text, "http://")) {
    return bad_url("the URL does not begin with http:// or https://");
  }
  text.remove_prefix(url.is_https ? 8 : 7);

  const std::string_view authority = text.substr(0, ascii::find_any<'/', '?', '#'>(text));
  if (Result<void> parsed = parse_authority(authority, url); !parsed) return parsed.error();
  text.remove_prefix(authority.size());
  text = text.substr(0, text.find('#'));
  if (text.empty() || text.front() != '/') url.path_and_query.push_back('/');
  if ((classes & kIllegalByte) == 0) {
    url.path_and_query.append(text);
  } else {
    append_legal(text, url.path_and_query);
  }
  return url;
}

}  // namespace streamgate
