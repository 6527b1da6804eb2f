#include "worker/fetch/reconnection.h"

#include <algorithm>
#include <utility>

#include "worker/http/media_type.h"

namespace streamgate {

Reconnection::Reconnection(const ResponseHead& head, unsigned max_attempts, int64_t now_ms)
    : media_type_(ascii::lower(extract_media_type(head.fields).essence)),
      coding_(field_or_empty(head.fields, "Content-Encoding")),
      max_attempts_(max_attempts),
      body_began_ms_(now_ms) {}

std::optional<Milliseconds> Reconnection::next_delay(int64_t now_ms) {
  const auto began_ms = std::exchange(body_began_ms_, std::nullopt);
  if (began_ms && Milliseconds(now_ms - *began_ms) >= kGoodBody) {
    attempts_ = 0;
    delay_ = kFirstDelay;
  }
  if (attempts_ == max_attempts_) return std::nullopt;
  ++attempts_;
  return std::exchange(delay_, std::min(delay_ * 2, kMaxDelay));
}

bool Reconnection::is_continued_by(const ResponseHead& head) const {
  return head.status == 200 &&
         ascii::iequals(extract_media_type(head.fields).essence, media_type_) &&
         field_or_empty(head.fields, "Content-Encoding") == coding_;
}

}  // namespace streamgate
