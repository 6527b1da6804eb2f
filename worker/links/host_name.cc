#include "worker/links/host_name.h"

#include <idn2.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "common/ascii.h"
#include "common/url.h"

namespace streamgate {
namespace {

// A host of 253 bytes of ASCII is at most this long in UTF-8; the conversion of longer ones costs.
constexpr size_t kMaxHostBytes = 1024;

bool is_name_byte(char c) {
  return ascii::is_alpha(c) || ascii::is_digit(c) || c == '-' || c == '.' || c == '_';
}

struct FreeName {
  void operator()(char* name) const { idn2_free(name); }
};

// The characters that the two mappings of UTS 46 treat differently (UTS 46 2.3). Browsers keep
// them.
constexpr std::array<std::string_view, 4> kDeviations = {"\u00DF", "\u03C2", "\u200C", "\u200D"};

// The dots of IDNA (UTS 46 2.3, RFC 3490 3.1).
constexpr std::array<std::string_view, 4> kDots = {".", "\u3002", "\uFF0E", "\uFF61"};

bool has_deviation(std::string_view label) {
  return std::any_of(kDeviations.begin(), kDeviations.end(), [&](std::string_view character) {
    return label.find(character) != label.npos;
  });
}

// The length of the dot at the beginning of `text`; 0 if there is none.
size_t dot_size(std::string_view text) {
  for (const std::string_view dot : kDots) {
    if (text.starts_with(dot)) return dot.size();
  }
  return 0;
}

struct Conversion {
  int status;
  std::unique_ptr<char, FreeName> text;
};

Conversion convert(const std::string& label, int mapping) {
  char* text = nullptr;
  const int flags = mapping | IDN2_NFC_INPUT | IDN2_ALLOW_UNASSIGNED;
  const int status = idn2_to_ascii_8z(label.c_str(), &text, flags);
  return {status, std::unique_ptr<char, FreeName>(text)};
}

// ASCII labels stay: browsers accept hyphens where IDNA 2008 forbids them. Browsers also accept
// symbols (`\u2603.net`), which IDNA 2008 does not have. Only the transitional mapping of libidn2
// converts them.
std::optional<std::string> ascii_label(const std::string& label) {
  const bool is_ascii = std::all_of(label.begin(), label.end(),
                                    [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (is_ascii) return label;
  Conversion converted = convert(label, IDN2_NONTRANSITIONAL);
  if (converted.status == IDN2_DISALLOWED && !has_deviation(label)) {
    converted = convert(label, IDN2_TRANSITIONAL);
  }
  if (converted.status != IDN2_OK) return std::nullopt;
  return std::string(converted.text.get());
}

}  // namespace

std::optional<std::string> ascii_host(std::string_view host) {
  const std::string decoded = percent_decode(host);
  if (decoded.size() > kMaxHostBytes || decoded.find('\0') != decoded.npos) return std::nullopt;
  std::string name;
  std::string label;
  for (std::string_view rest = decoded; !rest.empty();) {
    const size_t dot = dot_size(rest);
    if (dot == 0) label.push_back(rest.front());
    rest.remove_prefix(std::max<size_t>(dot, 1));
    if (dot == 0 && !rest.empty()) continue;
    const auto converted = ascii_label(label);
    if (!converted) return std::nullopt;
    name += *converted;
    if (dot > 0) name.push_back('.');
    label.clear();
  }
  // Some characters are mapped to a slash, a colon or `@`, which would end the host.
  const bool is_name = std::all_of(name.begin(), name.end(), is_name_byte);
  return is_name ? std::optional(std::move(name)) : std::nullopt;
}

}  // namespace streamgate
