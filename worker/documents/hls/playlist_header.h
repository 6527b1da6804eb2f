// Finds `#EXTM3U` in the first line of a playlist. Real servers send a byte order mark, blanks or
// an HTML comment before it.
#pragma once

#include <cstddef>
#include <string_view>

namespace streamgate {

inline constexpr std::string_view kPlaylistHeader = "#EXTM3U";

// The offset of the header in the first line of `text`, or npos. Behind other text the header
// counts only if it ends the line or has attributes: `"#EXTM3U\n"` in a script is not a header.
// Searches the first 1024 bytes.
inline size_t find_playlist_header(std::string_view text) {
  constexpr size_t kMaxBytes = 1024;
  if (text.starts_with(kPlaylistHeader)) return 0;
  text = text.substr(0, kMaxBytes);
  text = text.substr(0, text.find_first_of("\r\n"));
  for (size_t at = text.find(kPlaylistHeader); at != text.npos;
       at = text.find(kPlaylistHeader, at + 1)) {
    const std::string_view rest = text.substr(at + kPlaylistHeader.size());
    const size_t next = rest.find_first_not_of(" \t");
    if (next == rest.npos || (next > 0 && rest.find('=') != rest.npos)) return at;
  }
  return text.npos;
}

}  // namespace streamgate
