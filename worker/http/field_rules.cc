#include "worker/http/field_rules.h"

#include <algorithm>
#include <array>

#include "common/ascii.h"
#include "worker/http/grammar.h"

namespace streamgate {
namespace {

constexpr std::array<std::string_view, 7> kListFields = {
    "Accept", "Accept-Language", "If-None-Match",   "Cache-Control",
    "Vary",   "Pragma",          "Content-Encoding"};

}  // namespace

bool connection_names_fields(const HeaderFields& fields) {
  return std::any_of(fields.begin(), fields.end(), [](const HeaderField& field) {
    return ascii::iequals(field.name, "Connection") && !ascii::iequals(field.value, "keep-alive") &&
           !ascii::iequals(field.value, "close");
  });
}

bool is_for_this_hop(const HeaderFields& fields, std::string_view name) {
  bool named = false;
  for (const HeaderField& field : fields) {
    if (!ascii::iequals(field.name, "Connection")) continue;
    http::for_each_element(field.value, [&](std::string_view option) {
      named = named || ascii::iequals(option, name);
    });
  }
  return named;
}

bool may_repeat(std::string_view name) {
  return std::any_of(kListFields.begin(), kListFields.end(),
                     [&](std::string_view list) { return ascii::iequals(list, name); });
}

bool is_secret_header(std::string_view name) {
  return ascii::iequals(name, "Authorization") || ascii::iequals(name, "Cookie");
}

}  // namespace streamgate
