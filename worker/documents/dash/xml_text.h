// The text of XML in its raw form: attributes of a start tag, and values to be put into it.
#pragma once

#include <string>
#include <string_view>

namespace streamgate {

// The attributes of a start tag that a parser has accepted, in order: `<S t="0" d='4'/>`.
class RawAttributes {
 public:
  explicit RawAttributes(std::string_view tag);

  struct Attribute {
    std::string_view name;
    std::string_view value;  // as written, without its quotes
    char quote;
  };
  // False: there are no more.
  bool next(Attribute& attribute);

 private:
  std::string_view rest_;
};

// Appends `url` as the value of an attribute in these quotes, or as the text of an element (quote
// 0). `url` has no control bytes.
void append_xml(std::string_view url, char quote, std::string& out);

// Stands for an ampersand that begins no reference: `?a=1&b=2` is an error in XML, but the parsers
// of shaka and dash.js accept it.
inline constexpr char kBareAmpersand = '\x7f';
// Puts it in the place of each such ampersand. Returns how many bytes of `text` are decided: more
// of it shows whether an ampersand behind them begins a reference.
size_t mark_bare_ampersands(std::string& text);
void restore_bare_ampersands(std::string& text);

// Without XML's blanks at both ends.
std::string_view trim_xml(std::string_view text);

// The value of `encoding` in the XML declaration that `text` begins with; empty if there is none.
std::string_view declared_encoding(std::string_view text);

}  // namespace streamgate
