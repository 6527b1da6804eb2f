#include "worker/exchange/playlist_name.h"

#include "worker/documents/detector.h"
#include "worker/links/stream_request.h"

namespace streamgate {
namespace {

bool is_playlist_name(std::string_view path) {
  return claimed_kind({}, path) != DocumentKind::none;
}

}  // namespace

bool names_playlist(std::string_view target, std::string_view answer_path) {
  const std::string_view route = target.substr(0, target.find('?'));
  if (is_playlist_name(answer_path) || is_playlist_name(route)) return true;
  const auto request = parse_stream_request(target);
  return request && is_playlist_name(request->upstream.path());
}

}  // namespace streamgate
