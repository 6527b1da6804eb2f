#include "worker/cache/revalidation.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "common/ascii.h"

namespace streamgate {
namespace {

// RFC 9111 3.2: they belong to the stored body, or to the connection of the 304.
bool describes_body(std::string_view name) {
  constexpr std::array<std::string_view, 8> kNames{
      "Content-Length", "Content-Encoding", "Content-Type",      "Content-Range",
      "Connection",     "Keep-Alive",       "Transfer-Encoding", "Accept-Ranges"};
  return std::any_of(kNames.begin(), kNames.end(),
                     [name](std::string_view each) { return ascii::iequals(name, each); });
}

std::string_view opaque_part(std::string_view tag) {
  return tag.starts_with("W/") ? tag.substr(2) : tag;
}

}  // namespace

std::vector<ForwardedField> conditions_for(const StoredHead& stored) {
  std::vector<ForwardedField> out;
  if (stored.head.status != 200 || stored.head.framing != Framing::length) return out;
  const auto add = [&](std::string_view name, std::string_view validator) {
    const std::string_view value = field_or_empty(stored.head.fields, validator);
    if (!value.empty()) out.push_back({name, std::string(value)});
  };
  add("If-None-Match", "ETag");
  add("If-Modified-Since", "Last-Modified");
  return out;
}

bool is_about(const ResponseHead& not_modified, const FetchFacts& facts, const StoredHead& stored) {
  const std::string_view tag = field_or_empty(not_modified.fields, "ETag");
  const std::string_view stored_tag = field_or_empty(stored.head.fields, "ETag");
  if (!tag.empty() && opaque_part(tag) != opaque_part(stored_tag)) return false;
  return facts.url == stored.facts.url;
}

ResponseHead refreshed_head(const StoredHead& stored, const ResponseHead& not_modified) {
  ResponseHead out = stored.head;
  const auto is_replaced = [&](const HeaderField& field) {
    // The stored Age is dropped: the 304 comes from the upstream itself, or has an Age of its own.
    if (ascii::iequals(field.name, "Age")) return true;
    return !describes_body(field.name) && find_field(not_modified.fields, field.name).has_value();
  };
  std::erase_if(out.fields, is_replaced);
  for (const HeaderField& field : not_modified.fields) {
    if (!describes_body(field.name)) out.fields.push_back(field);
  }
  return out;
}

}  // namespace streamgate
