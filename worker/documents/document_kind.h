// The kinds of documents whose links are rewritten.
#pragma once

#include <string_view>

namespace streamgate {

// none: the body is relayed unchanged.
enum class DocumentKind {
  none,
  hls,
  mpd,
  asset_list,  // JSON: the assets of an interstitial (RFC 8216bis appendix D)
  steering,    // JSON: a steering manifest
  chapters,    // JSON: session data
};

constexpr bool is_json(DocumentKind kind) {
  return kind == DocumentKind::asset_list || kind == DocumentKind::steering ||
         kind == DocumentKind::chapters;
}

// The Content-Type of a rewritten document.
constexpr std::string_view media_type_of(DocumentKind kind) {
  if (kind == DocumentKind::steering) return "application/vnd.apple.steering-list";
  if (kind == DocumentKind::mpd) return "application/dash+xml";
  return is_json(kind) ? "application/json" : "application/vnd.apple.mpegurl";
}

}  // namespace streamgate
