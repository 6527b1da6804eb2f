// The kinds of documents whose links are rewritten.
#pragma once

#include <string_view>

namespace streamgate {

// none: the body is relayed unchanged.
enum class DocumentKind {
  none,
  hls,
  mpd,
  mpd_patch,   // changes to an MPD (ISO/IEC 23009-1 5.15)
  mpd_part,    // remote elements of an MPD (5.5)
  asset_list,  // JSON: the assets of an interstitial, or date ranges (RFC 8216bis D and H)
  steering,    // JSON: a steering manifest
  chapters,    // JSON: session data
  pls,         // a list of radio stations: `File1=http://host/a`
};

constexpr bool is_dash(DocumentKind kind) {
  return kind == DocumentKind::mpd || kind == DocumentKind::mpd_patch ||
         kind == DocumentKind::mpd_part;
}

constexpr bool is_json(DocumentKind kind) {
  return kind == DocumentKind::asset_list || kind == DocumentKind::steering ||
         kind == DocumentKind::chapters;
}

// The Content-Type of a rewritten document.
constexpr std::string_view media_type_of(DocumentKind kind) {
  if (kind == DocumentKind::steering) return "application/vnd.apple.steering-list";
  if (kind == DocumentKind::mpd_patch) return "application/dash-patch+xml";
  if (kind == DocumentKind::pls) return "audio/x-scpls";
  if (is_dash(kind)) return "application/dash+xml";
  return is_json(kind) ? "application/json" : "application/vnd.apple.mpegurl";
}

}  // namespace streamgate
