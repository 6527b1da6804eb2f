#include "worker/documents/dash/xml_text.h"

#include <algorithm>

#include "common/ascii.h"

namespace streamgate {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

constexpr bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// The longest name of a reference. Behind it an ampersand begins none.
constexpr size_t kMaxReferenceName = 32;

constexpr bool is_of_reference(char c) {
  return ascii::is_alpha(c) || ascii::is_digit(c) || c == '#' || c == '_' || c == '.' || c == '-';
}

std::string_view without_blanks_before(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  return text;
}

}  // namespace

RawAttributes::RawAttributes(std::string_view tag)
    : rest_(
          tag.substr(std::min(ascii::find_any<' ', '\t', '\r', '\n', '/', '>'>(tag), tag.size()))) {
}

bool RawAttributes::next(Attribute& attribute) {
  rest_ = without_blanks_before(rest_);
  const size_t equals = rest_.find('=');
  if (equals == rest_.npos) return false;
  attribute.name = rest_.substr(0, ascii::find_any<' ', '\t', '\r', '\n', '='>(rest_));
  rest_ = without_blanks_before(rest_.substr(equals + 1));
  if (rest_.empty()) return false;
  attribute.quote = rest_.front();
  rest_.remove_prefix(1);
  const size_t end = std::min(rest_.find(attribute.quote), rest_.size());
  attribute.value = rest_.substr(0, end);
  rest_.remove_prefix(std::min(end + 1, rest_.size()));
  return true;
}

void append_xml(std::string_view url, char quote, std::string& out) {
  while (!url.empty()) {
    const size_t plain = std::min(ascii::find_any<'&', '<', '"', '\''>(url), url.size());
    out += url.substr(0, plain);
    if (plain == url.size()) return;
    const char c = url[plain];
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == quote) {
      out += c == '"' ? "&quot;" : "&apos;";
    } else {
      out += c;
    }
    url.remove_prefix(plain + 1);
  }
}

size_t mark_bare_ampersands(std::string& text) {
  for (size_t at = text.find('&'); at != text.npos; at = text.find('&', at + 1)) {
    size_t end = at + 1;
    const size_t most = std::min(text.size(), end + kMaxReferenceName);
    while (end < most && is_of_reference(text[end])) ++end;
    if (end == text.size() && end <= at + 1 + kMaxReferenceName) return at;
    const bool is_reference = end > at + 1 && end < text.size() && text[end] == ';';
    if (!is_reference) text[at] = kBareAmpersand;
  }
  return text.size();
}

void restore_bare_ampersands(std::string& text) {
  std::replace(text.begin(), text.end(), kBareAmpersand, '&');
}

std::string_view trim_xml(std::string_view text) {
  text = without_blanks_before(text);
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

std::string_view from_xml_begin(std::string_view document) {
  if (document.starts_with(kByteOrderMark)) document.remove_prefix(kByteOrderMark.size());
  return without_blanks_before(document);
}

std::string_view declared_encoding(std::string_view text) {
  if (!text.starts_with("<?xml")) return {};
  const size_t end = text.find("?>");
  RawAttributes attributes(text.substr(0, end));
  for (RawAttributes::Attribute attribute; attributes.next(attribute);) {
    if (attribute.name == "encoding") return attribute.value;
  }
  return {};
}

bool is_utf16_encoding(std::string_view encoding) {
  return ascii::istarts_with(encoding, "utf-16") || ascii::istarts_with(encoding, "utf16") ||
         ascii::istarts_with(encoding, "ucs-2") || ascii::istarts_with(encoding, "iso-10646");
}

const char* parser_encoding(std::string_view encoding) {
  const bool is_utf8 = encoding.empty() || is_utf16_encoding(encoding) ||
                       ascii::istarts_with(encoding, "utf") || ascii::iequals(encoding, "us-ascii");
  return is_utf8 ? "UTF-8" : "ISO-8859-1";
}

}  // namespace streamgate
