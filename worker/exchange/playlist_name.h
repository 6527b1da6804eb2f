// Recognises requests for playlists by their names, so that the log can name a web page that was
// sent in place of a playlist. Pure.
#pragma once

#include <string_view>

namespace streamgate {

// Whether a name ends with an extension of playlists: `target` of the client's request, the URL in
// it, or `answer_path`, which is that of the last redirect.
bool names_playlist(std::string_view target, std::string_view answer_path);

}  // namespace streamgate
