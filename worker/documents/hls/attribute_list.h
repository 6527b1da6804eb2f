// Reads the attribute list of an HLS tag (RFC 8216bis 4.2). Accepts what real playlists contain:
// blanks around names and `=`, a missing comma after a quoted value, unquoted URIs.
#pragma once

#include <string_view>

#include "common/ascii.h"

namespace streamgate {

// Views into the list.
struct Attribute {
  std::string_view name;
  std::string_view value;  // without its quotes
  std::string_view whole;  // from the name to the end of the value, closing quote included
};

// Yields the attributes in order. Commas and `=` inside quotes are data; there is no escape
// character. A quote that is not closed reaches to the end of the line, as in FFmpeg.
class AttributeList {
 public:
  explicit AttributeList(std::string_view text) : rest_(text) {}

  // False at the end of the list; `attribute` is unchanged then.
  bool next(Attribute& attribute) {
    for (;;) {
      const size_t stop = ascii::find_any<'=', ','>(rest_);
      if (stop == rest_.npos) return false;
      if (rest_[stop] == '=') return read_value(stop, attribute);
      rest_.remove_prefix(stop + 1);  // a name without a value, or an empty element
    }
  }

 private:
  bool read_value(size_t equals, Attribute& attribute) {
    const std::string_view name = ascii::trim(rest_.substr(0, equals));
    std::string_view text = rest_.substr(equals + 1);
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    const bool is_quoted = text.starts_with('"');
    if (is_quoted) text.remove_prefix(1);
    const size_t stop = text.find(is_quoted ? '"' : ',');
    const bool is_closed = is_quoted && stop != text.npos;
    attribute.name = name;
    attribute.value = is_closed ? text.substr(0, stop) : ascii::trim(text.substr(0, stop));
    const char* value_end = attribute.value.data() + attribute.value.size() + (is_closed ? 1 : 0);
    attribute.whole = {name.data(), static_cast<size_t>(value_end - name.data())};
    rest_ = {value_end, static_cast<size_t>(rest_.data() + rest_.size() - value_end)};
    return true;
  }

  std::string_view rest_;
};

}  // namespace streamgate
