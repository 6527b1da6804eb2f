#include "master/config/values.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>
#include <utility>

#include "common/ascii.h"

namespace streamgate {
namespace {

struct Unit {
  std::string_view name;
  uint64_t factor;
};

// From the smallest to the largest. Printing uses the largest unit that divides the value.
constexpr std::array<Unit, 5> kDurationUnits{
    {{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
constexpr std::array<Unit, 4> kSizeUnits{
    {{"B", 1}, {"KiB", 1024}, {"MiB", uint64_t{1} << 20U}, {"GiB", uint64_t{1} << 30U}}};

Error refuse(std::string sentence) { return {Reason::bad_request, std::move(sentence)}; }

std::string quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

template <size_t N>
Result<uint64_t> parse_with_unit(std::string_view text, const std::array<Unit, N>& units,
                                 std::string_view how) {
  size_t digits = 0;
  while (digits < text.size() && ascii::is_digit(text[digits])) ++digits;
  const auto number = ascii::parse_uint(text.substr(0, digits));
  if (number && digits == text.size()) {
    return refuse(quoted(text) + " has no unit: " + std::string(how));
  }
  const std::string_view name = text.substr(digits);
  const auto unit =
      std::find_if(units.begin(), units.end(), [&](const Unit& u) { return u.name == name; });
  if (!number || unit == units.end()) {
    return refuse(quoted(text) + " is not valid: " + std::string(how));
  }
  // Durations are a signed 64-bit count of milliseconds.
  if (*number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) / unit->factor) {
    return refuse(quoted(text) + " is too large");
  }
  return *number * unit->factor;
}

template <size_t N>
std::string print_with_unit(uint64_t value, const std::array<Unit, N>& units, size_t zero_unit) {
  if (value == 0) return "0" + std::string(units[zero_unit].name);
  size_t i = units.size() - 1;
  while (value % units[i].factor != 0) --i;
  return std::to_string(value / units[i].factor) + std::string(units[i].name);
}

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

}  // namespace

Result<Milliseconds> parse_duration(std::string_view text) {
  const auto value =
      parse_with_unit(text, kDurationUnits, "write a duration as 500ms, 30s, 5m, 2h or 1d");
  if (!value) return value.error();
  return Milliseconds(static_cast<int64_t>(*value));
}

std::string print_duration(Milliseconds duration) {
  return print_with_unit(static_cast<uint64_t>(duration.count()), kDurationUnits, 1);
}

Result<size_t> parse_size(std::string_view text) {
  const auto value =
      parse_with_unit(text, kSizeUnits, "write a size as 4096B, 256KiB, 1MiB or 1GiB");
  if (!value) return value.error();
  return static_cast<size_t>(*value);
}

std::string print_size(size_t bytes) { return print_with_unit(bytes, kSizeUnits, 0); }

Result<size_t> parse_bandwidth(std::string_view text) {
  constexpr size_t kLeast = size_t{4} * 1024;
  constexpr size_t kMost = size_t{1024} * 1024 * 1024;
  auto value = parse_size(text);
  if (value && *value != 0 && (*value < kLeast || *value > kMost)) {
    return refuse(std::string(text) + " is out of range: 0B, or 4KiB to 1GiB");
  }
  return value;
}

Result<uint64_t> parse_count(std::string_view text) {
  const auto number = ascii::parse_uint(text);
  if (!number) return refuse(quoted(text) + " is not a whole number");
  return *number;
}

Result<bool> parse_bool(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return refuse(quoted(text) + " is neither true nor false");
}

Result<HeaderPolicy> parse_header_policy(std::string_view text, PolicyHeader header) {
  using Kind = HeaderPolicy::Kind;
  const bool is_user_agent = header == PolicyHeader::user_agent;
  const std::string words = is_user_agent ? "browser, client, none" : "target, client, none";
  if (text == "client") return HeaderPolicy{Kind::client, {}};
  if (text == "none") return HeaderPolicy{Kind::none, {}};
  if (text == "browser" && is_user_agent) return HeaderPolicy{Kind::browser, {}};
  if (text == "target" && !is_user_agent) return HeaderPolicy{Kind::target, {}};
  if (text.empty() || text == "browser" || text == "target") {
    return refuse(quoted(text) + " is not allowed here: write " + words + ", or a text to send");
  }
  if (!is_printable(text) || text.front() == ' ' || text.back() == ' ') {
    return refuse("a header value is printable ASCII without blanks at its ends");
  }
  return HeaderPolicy{Kind::literal, std::string(text)};
}

std::string print_header_policy(const HeaderPolicy& policy) {
  switch (policy.kind) {
    case HeaderPolicy::Kind::target:
      return "target";
    case HeaderPolicy::Kind::browser:
      return "browser";
    case HeaderPolicy::Kind::client:
      return "client";
    case HeaderPolicy::Kind::none:
      return "none";
    case HeaderPolicy::Kind::literal:
      return yaml_text(policy.text);
  }
  return {};
}

Result<std::string> parse_public_url(std::string_view text) {
  if (text.empty()) return std::string();
  const Error error =
      refuse(quoted(text) + " is not a public URL: write https://media.example.com" +
             " (a port and a path may follow; no user, query or fragment)");
  std::string_view rest = text;
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (ascii::istarts_with(rest, scheme)) rest.remove_prefix(scheme.size());
  }
  if (rest.size() == text.size()) return error;
  const auto is_forbidden = [](char c) {
    return c <= ' ' || c > '~' || std::string_view("\"<>\\^`{|}@?#").find(c) != std::string::npos;
  };
  if (std::any_of(rest.begin(), rest.end(), is_forbidden)) return error;
  std::string_view host = rest.substr(0, rest.find('/'));
  const size_t bracket = host.rfind(']');
  const size_t colon = host.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon != std::string_view::npos) {
    const auto port = ascii::parse_uint(host.substr(colon + 1));
    if (!port || *port == 0 || *port > 65535) return error;
    host = host.substr(0, colon);
  }
  if (host.empty()) return error;
  if (host.front() == '[' &&
      (host.back() != ']' || !IpAddress::parse(host.substr(1, host.size() - 2)))) {
    return error;
  }
  while (text.ends_with('/')) text.remove_suffix(1);
  return std::string(text);
}

Result<std::string> parse_path(std::string_view text) {
  if (text.empty() || text.front() == '/') return std::string(text);
  return refuse(quoted(text) + " is not an absolute path: it must begin with /");
}

Result<std::vector<IpRange>> parse_ranges(std::string_view text) {
  if (text == "loopback") return loopback_ranges();
  if (text == "private") return private_ranges();
  auto range = IpRange::parse(text);
  if (!range) return refuse(range.error().detail + ", nor one of the words loopback and private");
  return std::vector<IpRange>{*range};
}

std::vector<std::string> print_ranges(const std::vector<IpRange>& ranges) {
  std::vector<std::string> out;
  for (auto next = ranges.begin(); next != ranges.end();) {
    const auto left = ranges.end() - next;
    const auto begins = [&](const std::vector<IpRange>& word) {
      return left >= std::ssize(word) && std::equal(word.begin(), word.end(), next);
    };
    if (begins(loopback_ranges())) {
      out.emplace_back("loopback");
      next += std::ssize(loopback_ranges());
    } else if (begins(private_ranges())) {
      out.emplace_back("private");
      next += std::ssize(private_ranges());
    } else {
      out.push_back(next->to_string());
      ++next;
    }
  }
  return out;
}

std::string yaml_text(std::string_view text) {
  const auto is_safe = [](char c) {
    return ascii::is_alpha(c) || ascii::is_digit(c) || c == '/' || c == '.' || c == '_' || c == '-';
  };
  // YAML reads a bare `null` as no value, and `---` as a document marker.
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), is_safe) &&
                     !ascii::iequals(text, "null") && text.front() != '-';
  if (plain) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if ((c >= 0 && c < ' ') || c == 0x7f) {
      char hex[8];
      std::snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned char>(c));
      out += hex;
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string yaml_list(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const std::string& item : items) {
    if (out.size() > 1) out += ", ";
    out += yaml_text(item);
  }
  return out + "]";
}

}  // namespace streamgate
