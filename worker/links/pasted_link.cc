#include "worker/links/pasted_link.h"

#include <algorithm>

#include "common/ascii.h"
#include "common/url.h"
#include "worker/links/path_link.h"
#include "worker/links/public_origin.h"
#include "worker/links/stream_request.h"

namespace streamgate {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n\f";
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

bool is_http_url(std::string_view text) {
  return ascii::istarts_with(text, "http://") || ascii::istarts_with(text, "https://");
}

// Whether `target` is the path and query of a link to a proxy.
bool is_link(std::string_view target) {
  if (has_form_of_path_link(target)) return true;
  return has_query_form(target) &&
         (target.find("?url=") != target.npos || target.find("&url=") != target.npos);
}

// The stricter rule for a route after an unknown prefix.
bool is_complete_link(std::string_view target) {
  if (has_form_of_path_link(target)) return parse_path_link(target).has_value();
  if (!has_query_form(target)) return false;
  constexpr std::string_view kFirst = "?url=";
  const std::string_view query = target.substr(std::min(target.find('?'), target.size()));
  if (!query.starts_with(kFirst)) return false;
  return is_http_url(percent_decode(query.substr(kFirst.size(), query.find('&') - kFirst.size())));
}

std::string_view target_after_prefix(std::string_view target) {
  const std::string_view path = target.substr(0, target.find('?'));
  for (size_t slash = path.find('/', 1); slash != path.npos; slash = path.find('/', slash + 1)) {
    if (!is_complete_link(target.substr(slash))) continue;
    const bool is_after_prefix = !plain_prefix(path.substr(0, slash)).empty();
    return is_after_prefix ? target.substr(slash) : std::string_view();
  }
  return {};
}

// From the path on; empty if `text` has none.
std::string_view path_and_query_of(std::string_view text) {
  if (text.starts_with('/')) return text;
  if (!is_http_url(text)) return {};
  return text.substr(std::min(text.find('/', text.find("://") + 3), text.size()));
}

}  // namespace

std::string_view target_of_pasted_link(std::string_view text, std::string_view public_url) {
  text = trimmed(text);
  if (!public_url.empty() && text.starts_with(public_url)) {
    text.remove_prefix(public_url.size());
    return is_link(text) ? text : std::string_view();
  }
  const std::string_view target = path_and_query_of(text);
  return is_link(target) ? target : target_after_prefix(target);
}

}  // namespace streamgate
