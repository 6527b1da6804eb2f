#include "worker/documents/dash/root_element.h"

#include <algorithm>

namespace streamgate {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

// The text after the first `end`; nullopt if `text` has none.
std::optional<std::string_view> text_after(std::string_view text, std::string_view end) {
  const size_t at = text.find(end);
  if (at == text.npos) return std::nullopt;
  return text.substr(at + end.size());
}

// The text after a document type declaration, which may have a subset in brackets.
std::optional<std::string_view> behind_doctype(std::string_view text) {
  const size_t end = text.find_first_of("[>");
  if (end == text.npos || text[end] == '>') return text_after(text, ">");
  const auto subset_end = text_after(text, "]");
  return subset_end ? text_after(*subset_end, ">") : std::nullopt;
}

// The text after the markup that `text` begins with and that may precede the root element.
std::optional<std::string_view> behind_markup(std::string_view text) {
  if (text.starts_with("<?")) return text_after(text, "?>");
  if (text.starts_with("<!--")) return text_after(text.substr(4), "-->");
  return behind_doctype(text);
}

}  // namespace

std::optional<bool> has_mpd_root(std::string_view text) {
  for (;;) {
    text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
    if (text.size() < 2) return std::nullopt;
    if (text.front() != '<') return false;
    if (text[1] == '?' || text[1] == '!') {
      const auto rest = behind_markup(text);
      if (!rest) return std::nullopt;
      text = *rest;
      continue;
    }
    const size_t end = text.find_first_of(" \t\r\n/>", 1);
    if (end == text.npos) return std::nullopt;
    const std::string_view name = text.substr(1, end - 1);
    return name.substr(name.find(':') + 1) == "MPD";
  }
}

}  // namespace streamgate
