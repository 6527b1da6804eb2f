#include "worker/documents/hls/variables.h"

#include <algorithm>

#include "common/ascii.h"
#include "common/url.h"
#include "worker/documents/hls/attribute_list.h"
#include "worker/http/base64url.h"

namespace streamgate {
namespace {

constexpr size_t kMaxBytes = size_t{64} * 1024;
constexpr size_t kMaxCount = 256;  // a name is compared with all of them
constexpr size_t kMaxGrowth = size_t{256} * 1024;
constexpr size_t kMaxLinkBytes = size_t{4} * 1024;

bool is_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return ascii::is_alpha(c) || ascii::is_digit(c) || c == '-' || c == '_';
  });
}

bool may_be_quoted(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20 && byte != 0x7f && c != '"';
}

std::string decode_for_quotes(std::string_view encoded) {
  std::string out;
  for (const char c : percent_decode(encoded)) {
    if (may_be_quoted(c)) {
      out += c;
    } else {
      percent_encode({&c, 1}, out);
    }
  }
  return out;
}

}  // namespace

void Variables::clear() {
  variables_.clear();
  size_ = 0;
}

bool Variables::define(std::string_view name, std::string_view value) {
  const size_t size = size_ + name.size() + value.size();
  if (!is_name(name) || find(name) != nullptr) return false;
  if (size > kMaxBytes || variables_.size() == kMaxCount) return false;
  size_ = size;
  variables_.emplace_back(name, value);
  return true;
}

const std::string* Variables::find(std::string_view name) const {
  for (const auto& [known, value] : variables_) {
    if (known == name) return &value;
  }
  return nullptr;
}

std::optional<std::string> Variables::substitute(std::string_view text) const {
  const size_t most = text.size() + kMaxGrowth;
  std::string out;
  for (;;) {
    const size_t open = text.find("{$");
    out += text.substr(0, open);
    if (open == text.npos) return out;
    const size_t close = text.find('}', open);
    const bool has_end = close != text.npos;
    const std::string* value = has_end ? find(text.substr(open + 2, close - open - 2)) : nullptr;
    const size_t end = value != nullptr ? close + 1 : open + 2;
    out += value != nullptr ? std::string_view(*value) : text.substr(open, 2);
    if (out.size() > most) return std::nullopt;
    text.remove_prefix(end);
  }
}

// The text is an attribute list of quoted strings: no value has a quote.
std::string Variables::to_link() const {
  std::string list;
  for (const auto& [name, value] : variables_) {
    if (list.size() + name.size() + value.size() > kMaxLinkBytes) continue;
    list.append(name).append("=\"").append(value).append("\",");
  }
  std::string text;
  append_base64url(list, text);
  return text;
}

Variables Variables::from_link(std::string_view text) {
  Variables variables;
  const std::string list = decode_base64url(text).value_or(std::string());
  AttributeList attributes(list);
  for (Attribute attribute; attributes.next(attribute);) {
    variables.define(attribute.name, attribute.value);
  }
  return variables;
}

std::optional<std::string> query_value(std::string_view url, std::string_view name) {
  url = url.substr(0, url.find('#'));
  const size_t question = url.find('?');
  std::string_view query = question == url.npos ? std::string_view() : url.substr(question + 1);
  while (!query.empty()) {
    const std::string_view parameter = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(parameter.size() + 1, query.size()));
    const size_t equals = std::min(parameter.find('='), parameter.size());
    if (percent_decode(parameter.substr(0, equals)) != name) continue;
    return decode_for_quotes(parameter.substr(std::min(equals + 1, parameter.size())));
  }
  return std::nullopt;
}

}  // namespace streamgate
