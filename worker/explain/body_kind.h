// Names the kind of a body that is not a playlist, for `streamgate explain`. Pure.
#pragma once

#include <string>
#include <string_view>

namespace streamgate {

struct BodyKind {
  std::string name;         // `video/mp2t`, `HTML page`, `DASH manifest`
  bool can_play = false;    // a player can use it
  std::string advice = {};  // if not
};

// `sniffed` is the type that the first bytes show (worker/documents/sniffer.h), or empty.
// `declared` is the Content-Type.
BodyKind body_kind_of(std::string_view sniffed, std::string_view declared,
                      std::string_view first_bytes);

// A body that is not in its content coding.
BodyKind damaged_body();

}  // namespace streamgate
