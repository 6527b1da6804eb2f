#include "worker/client/client_address.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "common/ascii.h"
#include "worker/http/grammar.h"

namespace streamgate {
namespace {

constexpr size_t kMaxElements = 64;  // of one header; the rest is not looked at

// --- Nodes (RFC 7239 6), which X-Forwarded-For writes with or without brackets ---

bool is_port(std::string_view text) {
  return !text.empty() && text.size() <= 5 &&
         std::all_of(text.begin(), text.end(), [](char c) { return ascii::is_digit(c); });
}

// `_` and letters, digits, `.`, `_` and `-`.
bool is_obfuscated(std::string_view text) {
  return text.size() >= 2 && text.front() == '_' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return ascii::is_alpha(c) || ascii::is_digit(c) || c == '.' || c == '_' || c == '-';
         });
}

// 0 for an obfuscated port; nullopt if the text is not a port.
std::optional<uint16_t> parse_port(std::string_view text) {
  if (is_obfuscated(text)) return 0;
  if (!is_port(text)) return std::nullopt;
  const auto number = ascii::parse_uint(text);
  if (!number || *number > 65'535) return std::nullopt;
  return static_cast<uint16_t>(*number);
}

std::optional<SocketAddress> with_port(std::string_view address_text, std::string_view port_text,
                                       bool is_v4) {
  const auto address = IpAddress::parse(address_text);
  if (!address || address->is_v4 != is_v4) return std::nullopt;
  uint16_t port = 0;
  if (!port_text.empty()) {
    const auto parsed = parse_port(port_text.substr(1));  // after the colon
    if (!parsed) return std::nullopt;
    port = *parsed;
  }
  return SocketAddress(unmapped(*address), port);
}

// `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]`, `[2001:db8::1]:80`.
std::optional<SocketAddress> parse_node(std::string_view text) {
  if (!text.starts_with('[')) {
    const size_t colon = std::min(text.find(':'), text.size());
    return with_port(text.substr(0, colon), text.substr(colon), true);
  }
  const size_t end = text.find(']');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view rest = text.substr(end + 1);
  if (!rest.empty() && rest.front() != ':') return std::nullopt;
  return with_port(text.substr(1, end - 1), rest, false);
}

// X-Forwarded-For also has bare IPv6 addresses.
std::optional<SocketAddress> parse_forwarded_for(std::string_view element) {
  if (const auto node = parse_node(element)) return node;
  return with_port(element, {}, false);
}

// --- Elements of Forwarded (RFC 7239 4) ---

// Takes a token or a quoted string from the front of `rest` and returns its content. Quoted pairs
// are not decoded: no address has one.
std::optional<std::string_view> take_value(std::string_view& rest) {
  std::string_view value;
  if (rest.starts_with('"')) {
    size_t end = 1;
    while (end < rest.size() && rest[end] != '"') end += rest[end] == '\\' ? 2 : 1;
    if (end >= rest.size()) return std::nullopt;
    value = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
    return value;
  }
  const size_t size = http::token_size(rest);
  if (size == 0) return std::nullopt;
  value = rest.substr(0, size);
  rest.remove_prefix(size);
  return value;
}

// The `for` value of pairs that are separated by semicolons. nullopt if there is no `for`, if there
// are two (RFC 7239 4), or if the element is malformed.
std::optional<SocketAddress> parse_forwarded(std::string_view rest) {
  std::optional<std::string_view> node;
  while (!rest.empty()) {
    if (!rest.starts_with(';')) {
      const size_t equals = rest.find('=');
      if (equals == std::string_view::npos) return std::nullopt;
      const std::string_view name = rest.substr(0, equals);
      if (!http::is_token(name)) return std::nullopt;
      rest.remove_prefix(equals + 1);
      const auto value = take_value(rest);
      if (!value) return std::nullopt;
      if (ascii::iequals(name, "for")) {
        if (node) return std::nullopt;
        node = value;
      }
    }
    http::skip_blanks(rest);
    if (rest.empty()) break;
    if (rest.front() != ';') return std::nullopt;
    rest.remove_prefix(1);
    http::skip_blanks(rest);
  }
  if (!node) return std::nullopt;
  return parse_node(*node);
}

// --- Lists, from the right ---

// The start of the quoted string whose closing quote is at `end`.
size_t begin_of_quoted(std::string_view list, size_t end) {
  for (size_t at = end; at-- > 0;) {
    if (list[at] != '"') continue;
    size_t backslashes = 0;
    while (backslashes < at && list[at - backslashes - 1] == '\\') ++backslashes;
    if (backslashes % 2 == 0) return at;
  }
  return std::string_view::npos;
}

// Takes the last element from a comma list. The list is read from the right, so that the client
// cannot change the result: the client's own text is at the left, and an open quote there cannot
// swallow the elements that trusted proxies have appended.
std::string_view take_last(std::string_view& list, bool has_quotes) {
  size_t at = list.size();
  while (at > 0 && list[at - 1] != ',') {
    --at;
    if (!has_quotes || list[at] != '"') continue;
    const size_t begin = begin_of_quoted(list, at);
    // A quote without a partner: those before it have none either.
    has_quotes = begin != std::string_view::npos;
    if (has_quotes) at = begin;
  }
  const std::string_view element = list.substr(at);
  list = list.substr(0, at == 0 ? 0 : at - 1);
  return ascii::trim(element);
}

}  // namespace

IpAddress unmapped(const IpAddress& address) {
  constexpr std::array<uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (address.is_v4 || std::memcmp(address.bytes.data(), kMapped.data(), kMapped.size()) != 0) {
    return address;
  }
  IpAddress v4;
  std::copy_n(address.bytes.begin() + kMapped.size(), 4, v4.bytes.begin());
  return v4;
}

bool is_trusted(const SocketAddress& peer, std::span<const IpRange> trusted) {
  if (!peer.is_ip()) return true;
  const IpAddress address = peer.ip();
  return std::any_of(trusted.begin(), trusted.end(),
                     [&](const IpRange& range) { return range.contains(address); });
}

SocketAddress client_address(const HeaderFields& fields, ClientAddress header,
                             const SocketAddress& peer, std::span<const IpRange> trusted) {
  SocketAddress client = peer;
  if (header == ClientAddress::peer) return client;
  const bool is_forwarded = header == ClientAddress::forwarded;
  const std::string_view name = is_forwarded ? "Forwarded" : "X-Forwarded-For";
  size_t elements = 0;
  for (auto field = fields.rbegin(); field != fields.rend(); ++field) {
    if (!ascii::iequals(field->name, name)) continue;
    for (std::string_view list = field->value; !list.empty();) {
      if (!is_trusted(client, trusted) || ++elements > kMaxElements) return client;
      const std::string_view element = take_last(list, is_forwarded);
      if (element.empty()) continue;
      const auto next = is_forwarded ? parse_forwarded(element) : parse_forwarded_for(element);
      if (!next) return client;
      client = *next;
    }
  }
  return client;
}

std::string text_of_client(const SocketAddress& address) {
  return address.is_ip() && address.port() == 0 ? address.ip().to_string() : address.to_string();
}

}  // namespace streamgate
