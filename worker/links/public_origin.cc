#include "worker/links/public_origin.h"

#include <algorithm>

#include "common/ascii.h"
#include "common/percent_table.h"
#include "worker/http/grammar.h"

namespace streamgate {
namespace {

constexpr size_t kMaxPrefixBytes = 256;

// Stricter than RFC 3986: the host is written into documents and must not need quoting anywhere.
bool is_plain_host(std::string_view text) {
  if (text.empty()) return false;
  const bool safe = std::all_of(text.begin(), text.end(), [](char c) {
    return is_unreserved(static_cast<unsigned char>(c)) || c == ':' || c == '[' || c == ']';
  });
  return safe && http::is_host_and_port(text);
}

// The first element: proxies on the way append to the list, or replace it.
std::string_view first_element(const HeaderFields& fields, std::string_view name) {
  const std::string_view list = field_or_empty(fields, name);
  return ascii::trim(list.substr(0, list.find(',')));
}

// Whether a segment of the path is `.` or `..`, which clients resolve (RFC 3986 5.2.4).
bool has_dot_segment(std::string_view path) {
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const std::string_view segment = path.substr(0, path.find('/'));
    if (segment == "." || segment == "..") return true;
    path.remove_prefix(segment.size());
  }
  return false;
}

}  // namespace

std::string_view plain_prefix(std::string_view text) {
  if (text.empty()) return {};
  while (text.ends_with('/')) text.remove_suffix(1);
  const bool safe = std::all_of(text.begin(), text.end(), [](char c) {
    return is_unreserved(static_cast<unsigned char>(c)) || c == '/';
  });
  const bool plain = safe && text.starts_with('/') && text.size() <= kMaxPrefixBytes &&
                     text.find("//") == std::string_view::npos && !has_dot_segment(text);
  return plain ? text : std::string_view();
}

std::string public_origin(const RequestHead& client, std::string_view scheme, bool peer_is_trusted,
                          std::string_view public_url) {
  if (!public_url.empty()) return std::string(public_url);
  std::string_view host = field_or_empty(client.fields, "Host");
  std::string_view prefix;
  if (peer_is_trusted) {
    const std::string_view forwarded_host = first_element(client.fields, "X-Forwarded-Host");
    if (is_plain_host(forwarded_host)) host = forwarded_host;
    const std::string_view forwarded_scheme = first_element(client.fields, "X-Forwarded-Proto");
    if (ascii::iequals(forwarded_scheme, "https")) scheme = "https";
    if (ascii::iequals(forwarded_scheme, "http")) scheme = "http";
    prefix = plain_prefix(first_element(client.fields, "X-Forwarded-Prefix"));
  }
  std::string origin;
  if (is_plain_host(host)) {
    origin += scheme;
    origin += "://";
    origin += host;
  }
  origin += prefix;
  return origin;
}

}  // namespace streamgate
