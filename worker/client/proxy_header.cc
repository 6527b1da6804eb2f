#include "worker/client/proxy_header.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "common/ascii.h"
#include "worker/client/client_address.h"

namespace streamgate {
namespace {

constexpr std::string_view kPrefix = "PROXY ";
constexpr size_t kMaxLineBytes = 107;  // version 1, CRLF included
constexpr std::string_view kSignature{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr size_t kFixedBytes = 16;  // version 2: signature, version and command, family, length

Error malformed(const char* what) {
  return {Reason::bad_request, std::string("malformed PROXY protocol header: ") + what};
}

// Whether `bytes` begin with `start`, or are its first bytes.
bool may_begin(std::string_view bytes, std::string_view start) {
  const size_t size = std::min(bytes.size(), start.size());
  return bytes.substr(0, size) == start.substr(0, size);
}

// --- Version 1: `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n` ---

// Decimal, without leading zeros.
std::optional<uint16_t> parse_port(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text.front() == '0')) {
    return std::nullopt;
  }
  const auto number = ascii::parse_uint(text);
  if (!number || *number > 65'535) return std::nullopt;
  return static_cast<uint16_t>(*number);
}

// Takes the text up to the next blank, or all of it.
std::string_view take_word(std::string_view& rest) {
  const size_t blank = std::min(rest.find(' '), rest.size());
  const std::string_view word = rest.substr(0, blank);
  rest.remove_prefix(std::min(blank + 1, rest.size()));
  return word;
}

// `line` is without `PROXY ` and CRLF.
Result<ProxyHeader> parse_line(std::string_view line, size_t size) {
  const std::string_view whole = line;
  const std::string_view family = take_word(line);
  if (family == "UNKNOWN") return ProxyHeader{size, std::nullopt};
  const bool is_v4 = family == "TCP4";
  if (!is_v4 && family != "TCP6") return malformed("neither TCP4, TCP6 nor UNKNOWN");
  // Exactly four blanks: splitting into words would not notice a blank at the end.
  if (std::count(whole.begin(), whole.end(), ' ') != 4) return malformed("not four values");
  const auto source = IpAddress::parse(take_word(line));
  const auto destination = IpAddress::parse(take_word(line));
  const auto source_port = parse_port(take_word(line));
  const auto destination_port = parse_port(take_word(line));
  if (!source || !destination || source->is_v4 != is_v4 || destination->is_v4 != is_v4) {
    return malformed("not two addresses of that family");
  }
  if (!source_port || !destination_port) return malformed("not two ports");
  return ProxyHeader{size, SocketAddress(unmapped(*source), *source_port)};
}

Result<ProxyHeader> parse_version_1(std::string_view bytes) {
  const size_t end = bytes.find('\n');
  if (end == std::string_view::npos) {
    if (bytes.size() >= kMaxLineBytes) return malformed("no end within 107 bytes");
    return ProxyHeader{};
  }
  if (end >= kMaxLineBytes) return malformed("no end within 107 bytes");
  if (end < kPrefix.size() + 1 || bytes[end - 1] != '\r') return malformed("no CRLF");
  return parse_line(bytes.substr(kPrefix.size(), end - 1 - kPrefix.size()), end + 1);
}

// --- Version 2, binary ---

SocketAddress source_of(std::string_view addresses, bool is_v4) {
  const size_t length = is_v4 ? 4 : 16;
  IpAddress source;
  source.is_v4 = is_v4;
  std::memcpy(source.bytes.data(), addresses.data(), length);
  const auto high = static_cast<uint8_t>(addresses[2 * length]);
  const auto low = static_cast<uint8_t>(addresses[2 * length + 1]);
  return SocketAddress(unmapped(source), static_cast<uint16_t>((high << 8U) | low));
}

Result<ProxyHeader> parse_version_2(std::string_view bytes) {
  if (bytes.size() < kFixedBytes) return ProxyHeader{};
  const auto byte = [&](size_t at) { return static_cast<uint8_t>(bytes[at]); };
  const unsigned version = byte(12) >> 4U;
  const unsigned command = byte(12) & 0xfU;
  const unsigned family = byte(13) >> 4U;
  const unsigned transport = byte(13) & 0xfU;
  if (version != 2 || command > 1) return malformed("unknown version or command");
  if (family > 3 || transport > 2) return malformed("unknown family or transport");
  const size_t length = (size_t{byte(14)} << 8U) | byte(15);
  const size_t size = kFixedBytes + length;
  if (size > kMaxProxyHeaderBytes) return malformed("longer than 4096 bytes");
  const bool is_local = command == 0;
  const bool is_tcp = transport == 1 && (family == 1 || family == 2);
  const bool is_v4 = family == 1;
  if (!is_local && is_tcp && length < (is_v4 ? 12U : 36U))
    return malformed("no room for addresses");
  if (bytes.size() < size) return ProxyHeader{};
  if (is_local || !is_tcp) return ProxyHeader{size, std::nullopt};
  return ProxyHeader{size, source_of(bytes.substr(kFixedBytes), is_v4)};
}

}  // namespace

Result<ProxyHeader> parse_proxy_header(std::string_view bytes) {
  if (bytes.empty()) return ProxyHeader{};
  if (may_begin(bytes, kSignature)) return parse_version_2(bytes);
  if (may_begin(bytes, kPrefix)) return parse_version_1(bytes);
  return malformed("the connection begins with something else");
}

}  // namespace streamgate
