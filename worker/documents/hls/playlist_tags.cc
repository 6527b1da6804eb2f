#include "worker/documents/hls/playlist_tags.h"

#include <algorithm>
#include <array>

namespace streamgate {
namespace {

struct Row {
  std::string_view name;
  TagRule rule;
};

// Frequent tags first. Tags without URIs are listed so that free text in them (base64, titles, URLs
// of other programs) is not parsed as an attribute list.
constexpr Row kRows[] = {
    {"EXTINF", TagRule::no_uri},
    {"EXT-X-PART", TagRule::part},
    {"EXT-X-PROGRAM-DATE-TIME", TagRule::no_uri},
    {"EXT-X-BYTERANGE", TagRule::no_uri},
    {"EXT-X-KEY", TagRule::key},
    {"EXT-X-MAP", TagRule::map},
    {"EXT-X-VERSION", TagRule::no_uri},
    {"EXT-X-TARGETDURATION", TagRule::media},
    {"EXT-X-MEDIA-SEQUENCE", TagRule::media},
    {"EXT-X-DISCONTINUITY", TagRule::no_uri},
    {"EXT-X-DISCONTINUITY-SEQUENCE", TagRule::no_uri},
    {"EXT-X-DATERANGE", TagRule::date_range},
    {"EXT-X-PRELOAD-HINT", TagRule::hint},
    {"EXT-X-RENDITION-REPORT", TagRule::report},
    {"EXT-X-STREAM-INF", TagRule::variant},
    {"EXT-X-MEDIA", TagRule::rendition},
    {"EXT-X-I-FRAME-STREAM-INF", TagRule::rendition},
    {"EXT-X-IMAGE-STREAM-INF", TagRule::rendition},
    {"EXT-X-SESSION-KEY", TagRule::key},
    {"EXT-X-SESSION-DATA", TagRule::session_data},
    {"EXT-X-CONTENT-STEERING", TagRule::steering},
    {"EXT-X-PREFETCH", TagRule::whole_value},
    {"EXT-X-TWITCH-PREFETCH", TagRule::whole_value},
    {"EXTM3U", TagRule::no_uri},
    {"EXT-X-DEFINE", TagRule::define},
    {"EXT-X-ASSET", TagRule::no_uri},
    {"EXT-OATCLS-SCTE35", TagRule::no_uri},
    {"EXT-X-SCTE35", TagRule::no_uri},
    {"EXT-X-FAXS-CM", TagRule::no_uri},
    {"EXT-X-CONTENT-IDENTIFIER", TagRule::no_uri},
    {"EXT-X-TWITCH-INFO", TagRule::no_uri},
    {"EXT-X-TILES", TagRule::no_uri},
    {"EXT-X-SKIP", TagRule::no_uri},
    {"EXT-X-SERVER-CONTROL", TagRule::no_uri},
    {"EXT-X-IMAGES-ONLY", TagRule::images},
    {"EXTVLCOPT", TagRule::list_header},
    {"EXTHTTP", TagRule::list_header},
    {"KODIPROP", TagRule::list_header},
};

constexpr std::array<std::string_view, 7> kMultivariantTags = {
    "EXT-X-STREAM-INF",  "EXT-X-MEDIA",        "EXT-X-I-FRAME-STREAM-INF", "EXT-X-IMAGE-STREAM-INF",
    "EXT-X-SESSION-KEY", "EXT-X-SESSION-DATA", "EXT-X-CONTENT-STEERING"};

}  // namespace

TagRule tag_rule(std::string_view name) {
  if (name.empty()) return TagRule::any_uri_suffix;
  for (const Row& row : kRows) {
    // Tags of the same length seldom have the same last letter.
    if (row.name.size() != name.size() || row.name.back() != name.back()) continue;
    if (row.name == name) return row.rule;
  }
  // EXT-X-CUE, EXT-X-CUE-OUT, EXT-X-CUE-OUT-CONT, EXT-X-CUE-IN: ad markers without URIs.
  if (name.starts_with("EXT-X-CUE")) return TagRule::no_uri;
  // Kodi: `#EXTVLCOPT--http-user-agent=..`, without a colon.
  return name.starts_with("EXTVLCOPT--") ? TagRule::list_header : TagRule::any_uri_suffix;
}

bool is_multivariant_tag(std::string_view name) {
  return std::find(kMultivariantTags.begin(), kMultivariantTags.end(), name) !=
         kMultivariantTags.end();
}

}  // namespace streamgate
