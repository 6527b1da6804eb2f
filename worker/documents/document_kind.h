// The kinds of documents whose links are rewritten.
#pragma once

#include <string_view>

namespace streamgate {

// none: the body is relayed unchanged.
enum class DocumentKind { none, hls, mpd };

// The Content-Type of a rewritten document.
constexpr std::string_view media_type_of(DocumentKind kind) {
  return kind == DocumentKind::mpd ? "application/dash+xml" : "application/vnd.apple.mpegurl";
}

}  // namespace streamgate
