#include "worker/documents/dash/xml_text.h"

#include <algorithm>

namespace streamgate {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

std::string_view from_first_not_of(std::string_view bytes, std::string_view text) {
  return text.substr(std::min(text.find_first_not_of(bytes), text.size()));
}

}  // namespace

RawAttributes::RawAttributes(std::string_view tag)
    : rest_(tag.substr(std::min(tag.find_first_of(" \t\r\n/>"), tag.size()))) {}

bool RawAttributes::next(Attribute& attribute) {
  rest_ = from_first_not_of(kBlanks, rest_);
  const size_t equals = rest_.find('=');
  if (equals == rest_.npos) return false;
  attribute.name = rest_.substr(0, rest_.find_first_of(" \t\r\n="));
  rest_ = from_first_not_of(kBlanks, rest_.substr(equals + 1));
  if (rest_.empty()) return false;
  attribute.quote = rest_.front();
  rest_.remove_prefix(1);
  const size_t end = std::min(rest_.find(attribute.quote), rest_.size());
  attribute.value = rest_.substr(0, end);
  rest_.remove_prefix(std::min(end + 1, rest_.size()));
  return true;
}

void append_xml(std::string_view url, char quote, std::string& out) {
  for (const char c : url) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == quote) {
      out += c == '"' ? "&quot;" : "&apos;";
    } else {
      out += c;
    }
  }
}

std::string_view trim_xml(std::string_view text) {
  text = from_first_not_of(kBlanks, text);
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
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

}  // namespace streamgate
