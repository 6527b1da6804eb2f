#include "worker/links/same_origin_query.h"

#include <algorithm>
#include <utility>

#include "common/url.h"

namespace streamgate {
namespace {

constexpr std::string_view kBegin = "sg_same_origin=";

}  // namespace

std::string same_origin_begin(std::string_view origin) {
  std::string text(kBegin);
  percent_encode(origin, text);
  return text += '&';
}

void take_same_origin_query(std::string_view origin, std::string& path_and_query) {
  const size_t question = path_and_query.find('?');
  if (question == path_and_query.npos) return;
  if (path_and_query.find(kBegin, question) == path_and_query.npos) return;
  std::string_view query = std::string_view(path_and_query).substr(question + 1);
  std::string out = path_and_query.substr(0, question);
  char separator = '?';
  size_t depth = 0;
  bool is_kept = true;
  while (!query.empty()) {
    const std::string_view part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(part.size() + 1, query.size()));
    bool is_mark = false;
    if (part.starts_with(kBegin)) {
      is_mark = ++depth == 1;
      if (is_mark) is_kept = percent_decode(part.substr(kBegin.size())) == origin;
    } else if (part == kSameOriginEnd.substr(1) && depth > 0) {
      is_mark = --depth == 0;
    }
    if (!is_mark && (depth == 0 || is_kept)) out.append(1, std::exchange(separator, '&')) += part;
  }
  path_and_query = std::move(out);
}

}  // namespace streamgate
