#include "worker/links/own_referer.h"

#include <algorithm>
#include <optional>

#include "worker/links/path_link.h"
#include "worker/links/stream_request.h"

namespace streamgate {
namespace {

// Of the prefix of a front, so that the time for a long path has a limit.
constexpr int kMaxSegments = 16;

// The target of a link to us in a URL; empty if it is none, nullopt if its path is too long to
// tell. A front may have put a prefix before the path. A page elsewhere may have a path like ours,
// but no `url`, no proof and no carry.
std::optional<std::string_view> link_target(std::string_view url) {
  url = url.substr(0, url.find('#'));
  const size_t authority = url.find("://");
  if (authority == url.npos) return "";
  const size_t query = std::min(url.find('?'), url.size());
  size_t at = url.find('/', authority + 3);
  for (int depth = 0; at < query; ++depth, at = url.find('/', at + 1)) {
    if (depth == kMaxSegments) return std::nullopt;
    const std::string_view target = url.substr(at);
    if (has_form_of_path_link(target)) return target;
    if (!has_query_form(target)) continue;
    if (upstream_of_link(target) || target.find("sg_") != target.npos) return target;
  }
  return "";
}

}  // namespace

std::string referer_for_upstream(std::string_view referer, const HttpUrl& upstream) {
  const auto target = link_target(referer);
  if (!target) return {};
  if (target->empty()) return std::string(referer);
  const auto page = upstream_of_link(*target);
  if (!page || (page->is_https && !upstream.is_https)) return {};
  return page->origin() + "/";
}

}  // namespace streamgate
