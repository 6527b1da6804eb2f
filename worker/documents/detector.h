// Is this answer an HLS playlist? Judged from status, content type, final path and the first bytes
// of the (content-decoded) body, in that order of trust: the bytes win.
#pragma once

#include <cstddef>
#include <string_view>

namespace streamgate {

enum class Verdict { playlist, other, need_more };

constexpr size_t kSniffBytes = 1024;

// True if the type (parameters stripped, any case) or the path says playlist.
bool is_playlist_type(std::string_view content_type);
bool has_playlist_extension(std::string_view path);

// `first_bytes` is what has come of the body so far, `complete` whether that is all of it.
// need_more only while fewer than kSniffBytes bytes are there and they could still be either.
Verdict detect_playlist(std::string_view content_type, std::string_view path,
                        std::string_view first_bytes, bool complete);

// True if the body begins with gzip's magic number. Some upstreams send compressed playlists
// without saying so: with a type or path of a playlist, inflate first and judge what comes out.
bool looks_gzipped(std::string_view first_bytes);

}  // namespace streamgate
