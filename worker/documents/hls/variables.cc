#include "worker/documents/hls/variables.h"

#include <algorithm>

#include "common/ascii.h"
#include "common/url.h"
#include "worker/documents/hls/attribute_list.h"

namespace streamgate {
namespace {

constexpr size_t kMaxBytes = size_t{64} * 1024;
constexpr size_t kMaxCount = 256;
constexpr size_t kMaxGrowth = size_t{256} * 1024;
constexpr size_t kMaxLinkBytes = size_t{4} * 1024;

bool is_name_byte(char c) {
  return ascii::is_alpha(c) || ascii::is_digit(c) || c == '-' || c == '_';
}

bool is_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_name_byte);
}

// The name of the reference that `text` begins with: `a` of `{$a}..`; empty if that is none. Reads
// no further than the name, because a line may have many references without an end.
std::string_view referenced_name(std::string_view text) {
  text.remove_prefix(2);
  const auto end = std::find_if_not(text.begin(), text.end(), is_name_byte);
  if (end == text.end() || *end != '}') return {};
  return text.substr(0, static_cast<size_t>(end - text.begin()));
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
  by_name_.clear();
  size_ = 0;
  has_client_values_ = false;
}

bool Variables::define(std::string_view name, std::string_view value, std::string_view masked) {
  const size_t size = size_ + name.size() + value.size();
  if (!is_name(name) || find(name) != nullptr) return false;
  if (size > kMaxBytes || variables_.size() == kMaxCount) return false;
  size_ = size;
  by_name_.insert(place_of(name), variables_.size());
  variables_.push_back({std::string(name), std::string(value), std::string(masked)});
  has_client_values_ = has_client_values_ || masked != value;
  return true;
}

// The place of `name` in by_name_, or the place where it would be inserted.
std::vector<size_t>::const_iterator Variables::place_of(std::string_view name) const {
  return std::lower_bound(
      by_name_.begin(), by_name_.end(), name,
      [this](size_t index, std::string_view wanted) { return variables_[index].name < wanted; });
}

const std::string* Variables::find(std::string_view name, Text text) const {
  const auto place = place_of(name);
  if (place == by_name_.end() || variables_[*place].name != name) return nullptr;
  const Variable& found = variables_[*place];
  return text == Text::whole ? &found.value : &found.masked;
}

std::optional<std::string> Variables::substitute(std::string_view text, Text which) const {
  const size_t most = text.size() + kMaxGrowth;
  std::string out;
  for (;;) {
    const size_t open = text.find("{$");
    out += text.substr(0, open);
    if (open == text.npos) return out;
    text.remove_prefix(open);
    const std::string_view name = referenced_name(text);
    const std::string* const value = name.empty() ? nullptr : find(name, which);
    out += value != nullptr ? std::string_view(*value) : text.substr(0, 2);
    if (out.size() > most) return std::nullopt;
    text.remove_prefix(value != nullptr ? name.size() + 3 : 2);
  }
}

// The text is an attribute list of quoted strings. The masked value of `name` comes before it, as
// `?name`.
std::string Variables::to_list() const {
  std::string list;
  const auto append = [&list](std::string_view name, std::string_view value) {
    list.append(name).append("=\"");
    // A VALUE without quotes may have one inside. A URL gets it encoded in any case.
    for (const char c : value) c == '"' ? list.append("%22") : list.append(1, c);
    list.append("\",");
  };
  for (const auto& [name, value, masked] : variables_) {
    const size_t size = name.size() + value.size() + (masked == value ? 0 : masked.size());
    if (list.size() + size > kMaxLinkBytes) continue;
    if (masked != value) append("?" + name, masked);
    append(name, value);
  }
  return list;
}

Variables Variables::from_list(std::string_view list) {
  Variables variables;
  AttributeList attributes(list);
  std::optional<std::string_view> masked;
  for (Attribute attribute; attributes.next(attribute);) {
    if (attribute.name.starts_with('?')) {
      masked = attribute.value;
      continue;
    }
    variables.define(attribute.name, attribute.value, masked.value_or(attribute.value));
    masked.reset();
  }
  return variables;
}

QueryParameters::QueryParameters(std::string_view url) {
  url = url.substr(0, url.find('#'));
  const size_t question = url.find('?');
  std::string_view query = question == url.npos ? std::string_view() : url.substr(question + 1);
  while (!query.empty()) {
    const std::string_view parameter = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(parameter.size() + 1, query.size()));
    const size_t equals = std::min(parameter.find('='), parameter.size());
    parameters_.emplace_back(percent_decode(parameter.substr(0, equals)),
                             parameter.substr(std::min(equals + 1, parameter.size())));
  }
  std::stable_sort(parameters_.begin(), parameters_.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
}

std::optional<std::string> QueryParameters::find(std::string_view name) const {
  const auto found = std::lower_bound(
      parameters_.begin(), parameters_.end(), name,
      [](const auto& parameter, std::string_view wanted) { return parameter.first < wanted; });
  if (found == parameters_.end() || found->first != name) return std::nullopt;
  return decode_for_quotes(found->second);
}

}  // namespace streamgate
