#include "worker/links/parent_note.h"

#include "worker/http/base64.h"
#include "worker/links/link_context.h"

namespace streamgate {

std::string write_parent_note(std::string_view text) {
  std::string value;
  append_base64url(text, value);
  return value.size() <= kMaxEncodedBytes ? value : std::string();
}

std::string read_parent_note(std::string_view value) {
  return decode_base64url(value).value_or(std::string());
}

}  // namespace streamgate
