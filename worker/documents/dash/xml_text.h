// The text of XML in its raw form: attributes of a start tag, and values to be put into it.
#pragma once

#include <cstddef>
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

// Of UTF-8.
inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// Without a byte order mark and the blanks behind it. Blanks before the XML declaration are an
// error in XML, but they are frequent, and the parsers of players accept them.
std::string_view from_xml_begin(std::string_view document);

// The XML declaration is searched in so many bytes.
inline constexpr size_t kMaxXmlDeclaration = 1024;

// The value of `encoding` in the XML declaration that `text` begins with; empty if there is none.
std::string_view declared_encoding(std::string_view text);
bool is_utf16_encoding(std::string_view encoding);
// The encoding that expat shall read a document with this declared encoding in. UTF-16 has been
// converted; some servers also declare it for UTF-8. All others have the markup in ASCII.
const char* parser_encoding(std::string_view encoding);

}  // namespace streamgate
