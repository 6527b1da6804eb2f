#include "worker/documents/hls/list_attributes.h"

#include <algorithm>

#include "common/ascii.h"
#include "common/url.h"

namespace streamgate {
namespace {

constexpr std::string_view kBlanks = " \t";

bool is_http(std::string_view url) {
  return ascii::istarts_with(url, "http://") || ascii::istarts_with(url, "https://");
}

// The value after a `=`: up to the closing quote, or without quotes up to a blank or comma.
std::string_view value_of(std::string_view text) {
  if (text.starts_with('"') || text.starts_with('\'')) {
    const size_t end = text.find(text.front(), 1);
    return end == text.npos ? std::string_view() : text.substr(1, end - 1);
  }
  return text.substr(0, text.find_first_of(" \t,"));
}

// Decodes the name in a placeholder: it was encoded in the upstream's URL if it has a blank, and
// again in our link. A quote stays encoded, because it would end the attribute. So does a
// control byte: a line end would begin a line that is not rewritten.
std::string raw_name(std::string_view encoded) {
  const std::string once = percent_decode(encoded);
  std::string twice = percent_decode(once);
  const bool is_plain = std::all_of(twice.begin(), twice.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 && byte != 0x7f && std::string_view("\"'<>").find(c) == std::string::npos;
  });
  return is_plain ? twice : once;
}

}  // namespace

ListAttributes::ListAttributes(std::string_view tag)
    : rest_(tag), has_title_(tag.starts_with("#EXTINF") || tag.starts_with("EXTINF")) {}

bool ListAttributes::next(Url& url) {
  for (;;) {
    if (urls_.empty() && !next_attribute()) return false;
    // A comma separates two URLs only if a URL follows it. Any other comma is part of the URL.
    size_t end = urls_.find(',');
    while (end != urls_.npos && !is_http(ascii::trim(urls_.substr(end + 1)))) {
      end = urls_.find(',', end + 1);
    }
    const std::string_view text = ascii::trim(urls_.substr(0, end));
    urls_.remove_prefix(end == urls_.npos ? urls_.size() : end + 1);
    if (text.empty()) continue;
    url = {text, has_placeholders_};
    return true;
  }
}

// Moves to the next attribute that holds URLs. False if there is none.
bool ListAttributes::next_attribute() {
  for (;;) {
    const size_t stop = rest_.find_first_of("=,");
    if (stop == rest_.npos) return false;
    if (rest_[stop] == ',') {
      if (has_title_) return false;
      rest_.remove_prefix(stop + 1);
      continue;
    }
    std::string_view name = ascii::trim(rest_.substr(0, stop));
    name = name.substr(name.find_last_of(kBlanks) + 1);
    rest_.remove_prefix(stop + 1);
    rest_.remove_prefix(std::min(rest_.find_first_not_of(kBlanks), rest_.size()));
    const std::string_view value = value_of(rest_);
    const bool is_quoted = rest_.starts_with('"') || rest_.starts_with('\'');
    if (is_quoted && value.data() == nullptr) return false;  // the quote is not closed
    rest_.remove_prefix(value.size() + (is_quoted ? 2 : 0));
    has_placeholders_ = ascii::iequals(name, "catchup-source");
    if (!has_placeholders_ && !ascii::iequals(name, "tvg-logo") &&
        !ascii::iequals(name, "url-tvg") && !ascii::iequals(name, "x-tvg-url")) {
      continue;
    }
    urls_ = value;
    if (!urls_.empty()) return true;
  }
}

std::string with_raw_placeholders(std::string_view link, LinkForm form) {
  const bool is_query = form == LinkForm::query;
  const std::string_view dollar = is_query ? "%24" : "$";
  const std::string_view opening = is_query ? "%257B" : "%7B";
  const std::string_view closing = is_query ? "%257D" : "%7D";
  std::string out;
  for (;;) {
    const size_t open = link.find(opening);
    const size_t close = open == link.npos ? open : link.find(closing, open);
    if (close == link.npos) return out.append(link);
    std::string_view before = link.substr(0, open);
    const bool has_dollar = before.ends_with(dollar);
    if (has_dollar) before.remove_suffix(dollar.size());
    const std::string_view name = link.substr(open + opening.size(), close - open - opening.size());
    out.append(before).append(has_dollar ? "${" : "{").append(raw_name(name)).push_back('}');
    link.remove_prefix(close + closing.size());
  }
}

}  // namespace streamgate
