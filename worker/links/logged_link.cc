#include "worker/links/logged_link.h"

#include <algorithm>
#include <optional>

#include "common/ascii.h"
#include "common/log.h"
#include "worker/links/path_link.h"
#include "worker/links/stream_request.h"

namespace streamgate {
namespace {

constexpr std::string_view kOwnWords[] = {"stream", "api",   "proxy", "at",
                                          "health", "ready", "page",  "players"};

bool is_ours(std::string_view segment) {
  return segment.empty() ||
         std::find(std::begin(kOwnWords), std::end(kOwnWords), segment) != std::end(kOwnWords);
}

// `favicon.ico`. Tokens have digits or capitals, or are longer.
bool is_plain_word(std::string_view segment) {
  constexpr size_t kMaxBytes = 24;
  return segment.size() <= kMaxBytes && std::all_of(segment.begin(), segment.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || c == '.' || c == '-' || c == '_';
         });
}

std::string_view take_segment(std::string_view& path) {
  const std::string_view segment = path.substr(0, path.find('/'));
  path.remove_prefix(segment.size());
  return segment;
}

// The segments before a link.
void append_masked_prefix(std::string_view prefix, std::string& out) {
  while (!prefix.empty()) {
    const std::string_view segment = take_segment(prefix);
    out += is_ours(segment) ? segment : "*";
    if (prefix.empty()) return;
    out += '/';
    prefix.remove_prefix(1);
  }
}

// Where the path of a link to us begins, behind the prefix of a front; npos: nowhere. nullopt if
// the path is too long to tell.
std::optional<size_t> find_link(std::string_view target) {
  constexpr int kMaxSegments = 16;
  const size_t query = std::min(target.find('?'), target.size());
  const std::string_view parameters = target.substr(query);
  const bool has_url = parameters.find("url=") != parameters.npos ||  //
                       parameters.find("sg_") != parameters.npos;
  if (!has_url && target.find("/at/") == target.npos) return target.npos;
  size_t at = 0;
  for (int depth = 0; at < query; ++depth, at = target.find('/', at + 1)) {
    if (depth == kMaxSegments) return std::nullopt;
    const std::string_view rest = target.substr(at);
    if (has_form_of_path_link(rest) || (has_url && has_query_form(rest))) return at;
  }
  return target.npos;
}

}  // namespace

std::string logged_route(std::string_view target) {
  constexpr size_t kMaxBytes = 128;
  std::string_view path = target.substr(0, target.find('?'));
  if (path == "/stream") return std::string(path);
  const std::string_view route = path_link_route_of(target);
  if (!route.empty()) return std::string(route);
  std::string out;
  bool may_be_word = true;  // the segments so far are ours, and a name of a link does not follow
  while (out.size() < kMaxBytes) {
    const std::string_view segment = take_segment(path);
    const bool is_last = path.empty();
    const bool is_shown = is_ours(segment) || (is_last && may_be_word && is_plain_word(segment));
    out += is_shown ? segment : "*";
    if (is_last || segment == "at") break;  // a carry may follow
    may_be_word = may_be_word && is_ours(segment) && segment != "stream";
    out += '/';
    path.remove_prefix(1);
  }
  return out;
}

void append_logged_url(std::string_view url, std::string& out) {
  const size_t authority = url.find("://");
  const size_t path_at = url.starts_with('/')    ? 0
                         : authority == url.npos ? url.npos
                                                 : url.find('/', authority + 3);
  const std::string_view target = url.substr(std::min(path_at, url.size()));
  const auto link = find_link(target);
  if (link == target.npos) return log::append_redacted(url, out);
  log::append_redacted(url.substr(0, path_at), out);
  if (!link) {
    out += "/*";
    return;
  }
  append_masked_prefix(target.substr(0, *link), out);
  const std::string_view own = target.substr(*link);
  if (!has_query_form(own)) return log::append_redacted(own, out);
  out += logged_route(own);
  log::append_redacted(own.substr(own.find('?')), out);
}

}  // namespace streamgate
