// Formats in which another body may continue a live body: players can start at any frame of them.
#pragma once

#include <string_view>

namespace streamgate {

// packets: MPEG-TS. frames: ADTS, MP3, Ogg. The formats that the cache can share are fewer
// (LiveFormat).
enum class LiveMedia { none, packets, frames };

// By the first bytes of the body; by the declared type (`type/subtype`) if they show none.
LiveMedia live_media_of(std::string_view declared_type, std::string_view first_bytes);

}  // namespace streamgate
