#include "worker/documents/web_page.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "common/ascii.h"

namespace streamgate {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::string_view kBlanks = " \t\r\n\f";
constexpr std::array<std::string_view, 18> kTags = {
    "<!doctype html", "<html", "<head", "<body", "<title", "<meta", "<script", "<style", "<link",
    "<iframe",        "<h1",   "<div",  "<font", "<table", "<a",    "<b",      "<br",    "<p"};

void skip_blanks(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
}

// Skips `begin ... end` if the text starts with it, as far as the text goes.
bool skip_part(std::string_view begin, std::string_view end, std::string_view& text) {
  if (!text.starts_with(begin)) return false;
  const size_t at = text.find(end, begin.size());
  text.remove_prefix(at == text.npos ? text.size() : at + end.size());
  skip_blanks(text);
  return true;
}

bool begins_with_tag(std::string_view text, std::string_view tag) {
  if (text.size() <= tag.size() || !ascii::istarts_with(text, tag)) return false;
  const char next = text[tag.size()];
  return next == '>' || next == '/' || kBlanks.find(next) != kBlanks.npos;
}

}  // namespace

bool begins_like_web_page(std::string_view text) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  skip_blanks(text);
  if (!text.starts_with('<')) return false;  // nearly every body
  while (skip_part("<!--", "-->", text) || skip_part("<?xml", "?>", text)) {
  }
  return std::any_of(kTags.begin(), kTags.end(),
                     [text](std::string_view tag) { return begins_with_tag(text, tag); });
}

}  // namespace streamgate
