#include "worker/documents/dash/mpd_context.h"

#include <algorithm>

#include "common/ascii.h"
#include "common/url.h"
#include "worker/links/parent_note.h"

namespace streamgate {
namespace {

// Written for a base that is in the directory of the document.
constexpr std::string_view kSameDirectory = ".";

std::string_view without_query(std::string_view url) {
  return url.substr(0, url.find_first_of("?#"));
}

std::string_view directory_of(std::string_view url) { return url.substr(0, url.rfind('/') + 1); }

bool is_http_url(std::string_view text) {
  const UriParts parts = split_uri(text);
  return is_http_scheme(parts.scheme) && !parts.authority.empty();
}

}  // namespace

std::string write_mpd_context(std::string_view document, std::string_view base) {
  document = without_query(document);
  base = without_query(base);
  const bool is_same = directory_of(document) == directory_of(base);
  std::string text(document);
  text.append(" ").append(is_same ? kSameDirectory : base);
  return write_parent_note(text);
}

std::optional<MpdContext> read_mpd_context(std::string_view value) {
  const std::string note = read_parent_note(value);
  const size_t blank = note.find(' ');
  if (blank == note.npos) return std::nullopt;
  MpdContext context{note.substr(0, blank), note.substr(blank + 1)};
  context.base.resize(std::min(context.base.find(' '), context.base.size()));
  if (context.base == kSameDirectory) context.base = context.document;
  if (!is_http_url(context.document) || !is_http_url(context.base)) return std::nullopt;
  return context;
}

}  // namespace streamgate
