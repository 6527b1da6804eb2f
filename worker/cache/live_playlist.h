// How long a live playlist may be used if its upstream does not say it. A live media playlist
// (RFC 8216 6.2.1) changes when its next segment is complete. Two answers can show when the last
// segment was completed; the next change is due one segment duration later. Many viewers then cost
// the upstream one request for each segment, and the playlist is no more than 1.5 times
// `cache.playlist_age` behind. If a segment comes earlier than its duration says (a short segment
// at an ad break, rounded durations), the playlist can be up to one segment behind, once. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace streamgate {

struct LivePlaylist {
  uint64_t edge;        // the media sequence number after its last segment; not 0
  int64_t segment_ms;   // the duration of its last segment, at most 30 s
  int64_t rounding_ms;  // by how much the real duration may differ, from the decimals of the text
};

// None: it is not a live media playlist, it is longer than 256 KiB, or it has partial segments,
// which come more often.
std::optional<LivePlaylist> read_live_playlist(std::string_view text);

// The playlist of the previous answer, as its row has it (CLOCK_MONOTONIC).
struct StoredPlaylist {
  int64_t stored_ms;
  int64_t fresh_until_ms;
  uint64_t edge;
};

// `age_ms`: how long to use it if nothing is known; also the shortest result. `past` may have any
// values, because another process has written them.
int64_t live_playlist_lifetime_ms(const LivePlaylist& playlist,
                                  const std::optional<StoredPlaylist>& past, int64_t now_ms,
                                  int64_t age_ms);

}  // namespace streamgate
