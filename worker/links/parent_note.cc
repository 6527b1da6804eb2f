#include "worker/links/parent_note.h"

#include "worker/http/base64url.h"
#include "worker/links/grant.h"
#include "worker/links/link_context.h"
#include "worker/loop/signature.h"

namespace streamgate {

std::string write_parent_note(std::string_view text, const DocumentSetting& setting) {
  if (text.empty()) return {};
  std::string note(text);
  if (setting.access != nullptr) {
    note.append(" ").append(setting.grant_keys->seal(*setting.access, text));
  }
  std::string encoded;
  append_base64url(note, encoded);
  return encoded.size() <= kMaxEncodedBytes ? encoded : std::string();
}

std::string read_parent_note(const DocumentSetting& setting) {
  if (setting.variables.empty()) return {};
  std::string note = decode_base64url(setting.variables).value_or(std::string());
  if (setting.access == nullptr) return note;
  const size_t blank = note.rfind(' ');
  if (blank == note.npos) return {};
  const std::string mac = note.substr(blank + 1);
  note.resize(blank);
  if (!equal_in_constant_time(setting.grant_keys->seal(*setting.access, note), mac)) return {};
  return note;
}

}  // namespace streamgate
