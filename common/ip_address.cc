#include "common/ip_address.h"

#include <arpa/inet.h>

#include <cstring>

#include "common/ascii.h"

namespace streamgate {

namespace {

// Four decimal numbers without leading zeros, as inet_pton accepts them. inet_pton itself needs a
// NUL-terminated copy, and this function runs for the host of every URL.
std::optional<IpAddress> parse_v4(std::string_view text) {
  IpAddress address;
  size_t at = 0;
  for (size_t part = 0; part < 4; ++part) {
    if (part != 0 && (at == text.size() || text[at++] != '.')) return std::nullopt;
    unsigned value = 0;
    const size_t begin = at;
    while (at < text.size() && at - begin < 3 && ascii::is_digit(text[at])) {
      value = 10 * value + static_cast<unsigned>(text[at++] - '0');
    }
    const size_t digits = at - begin;
    if (digits == 0 || value > 255 || (digits > 1 && text[begin] == '0')) return std::nullopt;
    address.bytes[part] = static_cast<uint8_t>(value);
  }
  return at == text.size() ? std::optional(address) : std::nullopt;
}

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (const auto v4 = parse_v4(text)) return v4;
  // An IPv6 address has a colon. Most texts are names and have none.
  if (text.find(':') == std::string_view::npos) return std::nullopt;
  char buffer[INET6_ADDRSTRLEN + 1];
  if (text.empty() || text.size() >= sizeof buffer) return std::nullopt;
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
  IpAddress address;
  address.is_v4 = false;  // inet_pton refuses zones
  if (inet_pton(AF_INET6, buffer, address.bytes.data()) == 1) return address;
  return std::nullopt;
}

std::string IpAddress::to_string() const {
  char buffer[INET6_ADDRSTRLEN];
  inet_ntop(is_v4 ? AF_INET : AF_INET6, bytes.data(), buffer, sizeof buffer);
  return buffer;
}

bool IpRange::contains(const IpAddress& candidate) const {
  if (candidate.is_v4 != address.is_v4) return false;
  const unsigned whole = prefix_bits / 8;
  if (std::memcmp(candidate.bytes.data(), address.bytes.data(), whole) != 0) return false;
  const unsigned rest = prefix_bits % 8;
  if (rest == 0) return true;
  const unsigned mask = (0xff00U >> rest) & 0xffU;
  return (candidate.bytes[whole] & mask) == (address.bytes[whole] & mask);
}

bool IpRange::contains(const IpAddress& candidate, uint16_t candidate_port) const {
  return contains(candidate) && (!port || *port == candidate_port);
}

namespace {

Error bad_range(std::string_view text) {
  return {Reason::bad_request, "'" + std::string(text) +
                                   "' is not an address, a block (10.0.0.0/8) or an address and "
                                   "port (127.0.0.1:8081)"};
}

// Moves the port from `text` to `port`: `[v6]:port`, `v4:port`, `[v6]`, or a text without a port.
bool split_port(std::string_view& text, std::string_view& port) {
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return false;
    const std::string_view rest = text.substr(end + 1);
    if (!rest.empty() && rest[0] != ':') return false;
    port = rest.empty() ? rest : rest.substr(1);
    text = text.substr(1, end - 1);
    return rest.size() != 1;
  }
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos || text.find(':', colon + 1) != std::string_view::npos) {
    return true;  // no port, or a bare IPv6 address
  }
  port = text.substr(colon + 1);
  text = text.substr(0, colon);
  return !port.empty();
}

}  // namespace

Result<IpRange> IpRange::parse(std::string_view text) {
  std::string_view rest = text;
  std::string_view port_text;
  if (!split_port(rest, port_text)) return bad_range(text);
  IpRange range;
  std::string_view bits_text;
  if (const size_t slash = rest.find('/'); slash != std::string_view::npos) {
    bits_text = rest.substr(slash + 1);
    rest = rest.substr(0, slash);
    if (bits_text.empty()) return bad_range(text);
  }
  const auto address = IpAddress::parse(rest);
  if (!address) return bad_range(text);
  range.address = *address;
  const unsigned most = address->is_v4 ? 32 : 128;
  range.prefix_bits = most;
  if (!bits_text.empty()) {
    const auto bits = ascii::parse_uint(bits_text);
    if (!bits || *bits > most) return bad_range(text);
    range.prefix_bits = static_cast<unsigned>(*bits);
  }
  if (!port_text.empty()) {
    const auto port = ascii::parse_uint(port_text);
    if (!port) return bad_range(text);
    if (*port == 0 || *port > 65535) {
      return Error{Reason::bad_request, "'" + std::string(text) + "': the port is not 1 to 65535"};
    }
    range.port = static_cast<uint16_t>(*port);
  }
  return range;
}

std::string IpRange::to_string() const {
  std::string out = address.to_string();
  if (prefix_bits != (address.is_v4 ? 32U : 128U)) out += "/" + std::to_string(prefix_bits);
  if (!address.is_v4 && port) out = "[" + out + "]";
  if (port) out += ":" + std::to_string(*port);
  return out;
}

}  // namespace streamgate
