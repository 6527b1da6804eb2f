#include "worker/links/header_suffix.h"

#include <algorithm>
#include <array>

#include "common/ascii.h"
#include "common/url.h"
#include "worker/http/grammar.h"

namespace streamgate {
namespace {

// The options in a suffix that Kodi's CurlFile uses itself.
constexpr std::array<std::string_view, 12> kSettings = {
    "auth",          "acceptencoding",     "noshout",     "seekable",       "sslcipherlist",
    "verifypeer",    "connection-timeout", "failonerror", "redirect-limit", "postdata",
    "active-remote", "customrequest"};

// A line of a list may be long, and nothing else may wait for it. LinkContext takes 8 KiB, which
// are at most 24 KiB of escapes.
constexpr size_t kMaxSuffixBytes = size_t{32} * 1024;
constexpr int kMaxBars = 64;

bool is_setting(std::string_view name) {
  return std::any_of(kSettings.begin(), kSettings.end(),
                     [&](std::string_view setting) { return ascii::iequals(setting, name); });
}

// The name in the `Name=` at the beginning of `text`, with blanks around it; empty if there is
// none. Reads no further, because a line may have many bars.
std::string_view name_at_beginning_of(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  const auto end = std::find_if_not(
      text.begin(), text.end(), [](char c) { return http::is(http::kTokenByte, c) && c != '|'; });
  const auto name_size = static_cast<size_t>(end - text.begin());
  const size_t next = text.find_first_not_of(" \t", name_size);
  if (next == text.npos || text[next] != '=') return {};
  return text.substr(0, name_size);
}

// Whether a name after a bar in a query is that of a header. Tokens in queries have bars too
// (`?sig=a|exp=1`), which players send. Their names have no hyphen and no capital letter.
bool is_header_in_query(std::string_view name) {
  constexpr std::array<std::string_view, 8> kLowerCase = {
      "referer", "cookie", "origin", "authorization", "accept", "host", "range", "connection"};
  if (name.starts_with('!') || is_setting(name)) return true;
  const bool is_usual = std::any_of(name.begin(), name.end(),
                                    [](char c) { return c == '-' || (c >= 'A' && c <= 'Z'); });
  return is_usual || std::find(kLowerCase.begin(), kLowerCase.end(), name) != kLowerCase.end();
}

}  // namespace

std::string_view before_bar(std::string_view url) {
  const size_t bar = url.find('|');
  const std::string_view path = url.substr(0, ascii::find_any<'?', '#'>(url));
  const size_t name = path.rfind('/');
  const size_t scheme_end = path.find("://");
  const bool has_path = scheme_end == path.npos || name > scheme_end + 2;
  if (bar >= path.size() || name > bar || !has_path) return {};
  return ascii::trim(url.substr(0, bar));
}

std::string_view cut_header_suffix(std::string_view url, LinkContext& link) {
  size_t bar = url.find('|');
  const size_t query = url.find('?');
  for (int bars = 0; bar != url.npos && bars < kMaxBars; ++bars) {
    const size_t begin = std::min(url.find_first_not_of("| \t", bar), url.size());
    const std::string_view suffix = url.substr(begin);
    const std::string_view name = name_at_beginning_of(suffix);
    const bool is_header = !name.empty() && (query > bar || is_header_in_query(name));
    if (suffix.empty() || is_header) {
      take_header_pairs(suffix, link);
      return ascii::trim(url.substr(0, bar));
    }
    bar = url.find('|', begin);
  }
  return url;
}

void take_header_pairs(std::string_view pairs, LinkContext& link) {
  pairs = pairs.substr(0, kMaxSuffixBytes);
  while (!pairs.empty()) {
    const std::string_view pair = pairs.substr(0, pairs.find('&'));
    pairs.remove_prefix(std::min(pair.size() + 1, pairs.size()));
    const size_t equals = pair.find('=');
    if (equals == pair.npos) continue;
    std::string_view name = ascii::trim(pair.substr(0, equals));
    if (name.starts_with('!')) name.remove_prefix(1);  // Kodi: a header that is not logged
    if (is_setting(name)) continue;
    take_list_header(name, percent_decode(pair.substr(equals + 1)), link);
  }
}

bool is_header_of_suffix(std::string_view name) {
  constexpr std::array<std::string_view, 5> kNames = {"User-Agent", "Referer", "Origin", "Cookie",
                                                      "Authorization"};
  return ascii::istarts_with(name, "X-") ||
         std::any_of(kNames.begin(), kNames.end(),
                     [&](std::string_view known) { return ascii::iequals(known, name); });
}

}  // namespace streamgate
