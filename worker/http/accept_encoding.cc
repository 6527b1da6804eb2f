#include "worker/http/accept_encoding.h"

#include <algorithm>
#include <optional>

#include "worker/http/grammar.h"

namespace streamgate {
namespace {

// `0.25` -> 250. Digits after the third are ignored.
std::optional<int> parse_weight(std::string_view text) {
  if (text.empty() || (text[0] != '0' && text[0] != '1')) return std::nullopt;
  int weight = text[0] == '1' ? 1000 : 0;
  if (text.size() == 1) return weight;
  if (text[1] != '.') return std::nullopt;
  int unit = 100;
  for (const char c : text.substr(2)) {
    if (!ascii::is_digit(c)) return std::nullopt;
    weight += (c - '0') * unit;
    unit /= 10;
  }
  return weight <= 1000 ? std::optional(weight) : std::nullopt;
}

struct Element {
  std::string_view coding;
  std::optional<int> weight;  // in thousandths; nullopt: unusable
};

Element parse_element(std::string_view element) {
  const size_t semicolon = element.find(';');
  const std::string_view coding = ascii::trim(element.substr(0, semicolon));
  if (semicolon == std::string_view::npos) return {coding, 1000};
  const std::string_view parameter = ascii::trim(element.substr(semicolon + 1));
  const size_t equals = parameter.find('=');
  if (equals == std::string_view::npos ||
      !ascii::iequals(ascii::trim(parameter.substr(0, equals)), "q")) {
    return {coding, std::nullopt};
  }
  return {coding, parse_weight(ascii::trim(parameter.substr(equals + 1)))};
}

struct Weights {
  std::optional<int> gzip;
  std::optional<int> identity;
  std::optional<int> any;

  void add(const Element& element) {
    const auto raise = [&element](std::optional<int>& weight) {
      weight = std::max(weight.value_or(0), *element.weight);
    };
    if (!element.weight) return;
    if (element.coding == "*") raise(any);
    if (ascii::iequals(element.coding, "identity")) raise(identity);
    // RFC 9110 8.4.1.3: x-gzip is gzip.
    if (ascii::iequals(element.coding, "gzip") || ascii::iequals(element.coding, "x-gzip")) {
      raise(gzip);
    }
  }
};

}  // namespace

bool prefers_gzip(const HeaderFields& client) {
  Weights weights;
  for (const HeaderField& field : client) {
    if (!ascii::iequals(field.name, "Accept-Encoding")) continue;
    http::for_each_element(
        field.value, [&weights](std::string_view element) { weights.add(parse_element(element)); });
  }
  const int any = weights.any.value_or(0);
  const int gzip = weights.gzip.value_or(any);
  return gzip > 0 && gzip >= weights.identity.value_or(any);
}

bool may_be_compressed(const HeaderFields& client) {
  if (!prefers_gzip(client)) return false;
  if (!ascii::iequals(field_or_empty(client, "Sec-Fetch-Site"), "cross-site")) return true;
  return !find_field(client, "Cookie") && !find_field(client, "Authorization");
}

}  // namespace streamgate
