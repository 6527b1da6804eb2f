#include "worker/links/host_name.h"

#include <idn2.h>

#include <algorithm>
#include <memory>

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

}  // namespace

std::optional<std::string> ascii_host(std::string_view host) {
  const std::string decoded = percent_decode(host);
  if (decoded.size() > kMaxHostBytes || decoded.find('\0') != decoded.npos) return std::nullopt;
  char* text = nullptr;
  constexpr int kFlags = IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT | IDN2_ALLOW_UNASSIGNED;
  if (idn2_to_ascii_8z(decoded.c_str(), &text, kFlags) != IDN2_OK) return std::nullopt;
  const std::unique_ptr<char, FreeName> name(text);
  // Some characters are mapped to a slash, a colon or `@`, which would end the host.
  const std::string_view found = name.get();
  const bool is_name = std::all_of(found.begin(), found.end(), is_name_byte);
  return is_name ? std::optional(std::string(found)) : std::nullopt;
}

}  // namespace streamgate
