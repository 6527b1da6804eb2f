// The format of an endless body, for its window (live_window.h).
#pragma once

namespace streamgate {

// packets: MPEG-TS; a reader can begin at any packet, and best at an access point. frames: sound in
// which a reader can begin anywhere. none: a reader needs the first bytes, or the format is
// unknown.
enum class LiveFormat { none, packets, frames };

}  // namespace streamgate
