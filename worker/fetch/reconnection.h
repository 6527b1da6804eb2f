// The rule for live bodies that end: when the URL is requested again, and which answers continue
// the body. A live body has no length, and a format that players can enter anywhere: MPEG-TS, ADTS,
// MP3, Ogg.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/config.h"
#include "worker/http/message.h"

namespace streamgate {

class Reconnection {
 public:
  static constexpr Milliseconds kFirstDelay{1'000};
  static constexpr Milliseconds kMaxDelay{30'000};
  // After a body that lasted this long, a good body, the delay and the attempts start again.
  static constexpr Milliseconds kGoodBody{10'000};

  // `head` is that of the first body, which begins now.
  Reconnection(const ResponseHead& head, unsigned max_attempts, int64_t now_ms);

  // The time to wait after the end of a body or a failed attempt; doubles each time. nullopt after
  // max_attempts without a good body.
  std::optional<Milliseconds> next_delay(int64_t now_ms);
  // Whether `head` continues the body: 200, and the media type and coding of the first answer.
  bool is_continued_by(const ResponseHead& head) const;
  void body_begins(int64_t now_ms) { body_began_ms_ = now_ms; }

 private:
  std::string media_type_;
  std::string coding_;
  unsigned max_attempts_;
  unsigned attempts_ = 0;
  Milliseconds delay_ = kFirstDelay;
  std::optional<int64_t> body_began_ms_;  // none between two bodies
};

}  // namespace streamgate
