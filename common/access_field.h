// The fields of an access-log line that `log.fields` chooses from (deploy/OPERATIONS.md explains
// them).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace streamgate {

// A macro, because only the preprocessor makes an enumerator and its text from the same word. The
// first line is the default, in its order.
// clang-format off
#define STREAMGATE_ACCESS_FIELDS(ROW)                                                             \
  ROW(id) ROW(client) ROW(method) ROW(route) ROW(status) ROW(reason) ROW(bytes) ROW(ms)           \
  ROW(upstream) ROW(upstream_status) ROW(attempts) ROW(reused) ROW(playlist) ROW(resumed)         \
  ROW(discontinuities) ROW(cache) ROW(detail)                                                     \
  /* Only if the configuration names them. */                                                     \
  ROW(user_agent) ROW(referer) ROW(protocol) ROW(first_byte_ms) ROW(upstream_host) ROW(worker)    \
  ROW(generation)
// clang-format on

enum class AccessField : uint8_t {
#define STREAMGATE_ENUMERATOR(name) name,
  STREAMGATE_ACCESS_FIELDS(STREAMGATE_ENUMERATOR)
#undef STREAMGATE_ENUMERATOR
};

// In the order of AccessField.
inline constexpr std::string_view kAccessFieldNames[] = {
#define STREAMGATE_NAME(name) #name,
    STREAMGATE_ACCESS_FIELDS(STREAMGATE_NAME)
#undef STREAMGATE_NAME
};

constexpr std::string_view name_of(AccessField field) {
  return kAccessFieldNames[static_cast<size_t>(field)];
}

inline std::vector<AccessField> default_access_fields() {
  std::vector<AccessField> fields;
  for (size_t i = 0; i <= static_cast<size_t>(AccessField::detail); ++i) {
    fields.push_back(static_cast<AccessField>(i));
  }
  return fields;
}

}  // namespace streamgate
