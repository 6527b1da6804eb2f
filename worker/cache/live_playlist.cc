#include "worker/cache/live_playlist.h"

#include <algorithm>
#include <cstdint>

#include "common/ascii.h"

namespace streamgate {
namespace {

constexpr size_t kMaxTextBytes = size_t{256} * 1024;
constexpr int64_t kLongestSegmentMs = 30'000;
// A stored answer older than this tells nothing about the next one.
constexpr int64_t kLongestPastMs = 3'600'000;
// Each request comes this much, and the rounding, before the segment is due. If it comes too early,
// the next one comes after `age_ms` and shows again when a segment was completed. That happens
// after a hundred segments if the age is 1 s and durations have milliseconds.
constexpr int64_t kEarlierMs = 10;
// A target duration is rounded to whole seconds (RFC 8216 4.3.3.1).
constexpr int64_t kTargetRoundingMs = 500;

struct Duration {
  int64_t ms;  // at most kLongestSegmentMs
  int64_t rounding_ms;
};

// `6`, `6.006`; none for other texts.
std::optional<Duration> duration_in(std::string_view text) {
  const size_t dot = std::min(text.find('.'), text.size());
  const auto seconds = ascii::parse_uint(text.substr(0, dot));
  if (!seconds) return std::nullopt;
  if (*seconds >= kLongestSegmentMs / 1000) return Duration{kLongestSegmentMs, 0};
  Duration out{static_cast<int64_t>(*seconds) * 1000, 500};
  int64_t weight = 100;
  for (const char digit : text.substr(std::min(dot + 1, text.size()))) {
    if (!ascii::is_digit(digit)) return std::nullopt;
    out.ms += weight * (digit - '0');
    out.rounding_ms = weight / 2;
    weight /= 10;
  }
  return out;
}

// Its value, if the line is that tag.
std::optional<std::string_view> value_of(std::string_view line, std::string_view tag) {
  if (!line.starts_with(tag)) return std::nullopt;
  return ascii::trim(line.substr(tag.size()));
}

class Reading {
 public:
  // False: it is not a live playlist, or one with partial segments.
  bool take(std::string_view line) {
    if (const auto value = value_of(line, "#EXTINF:")) {
      ++segments_;
      duration_ = duration_in(ascii::trim(value->substr(0, value->find(','))));
    } else if (const auto first = value_of(line, "#EXT-X-MEDIA-SEQUENCE:")) {
      first_ = ascii::parse_uint(*first);
    } else if (const auto target = value_of(line, "#EXT-X-TARGETDURATION:")) {
      target_ = duration_in(*target);
    } else {
      return !line.starts_with("#EXT-X-ENDLIST") && !line.starts_with("#EXT-X-PART") &&
             !line.starts_with("#EXT-X-SKIP:") && !line.starts_with("#EXT-X-STREAM-INF:");
    }
    return true;
  }

  std::optional<LivePlaylist> result() const {
    if (segments_ == 0 || !first_ || !target_ || !duration_) return std::nullopt;
    if (*first_ > UINT64_MAX - segments_) return std::nullopt;
    const int64_t longest = target_->ms + kTargetRoundingMs;
    return LivePlaylist{*first_ + segments_, std::min(duration_->ms, longest),
                        duration_->rounding_ms};
  }

 private:
  uint64_t segments_ = 0;
  std::optional<uint64_t> first_ = 0;
  std::optional<Duration> target_;
  std::optional<Duration> duration_;  // of the last segment
};

bool is_possible(const StoredPlaylist& past, int64_t now_ms) {
  return past.edge > 0 && past.stored_ms <= now_ms && past.stored_ms >= now_ms - kLongestPastMs &&
         past.fresh_until_ms >= past.stored_ms &&
         past.fresh_until_ms <= past.stored_ms + kLongestPastMs;
}

}  // namespace

std::optional<LivePlaylist> read_live_playlist(std::string_view text) {
  if (text.size() > kMaxTextBytes || !text.starts_with("#EXTM3U")) return std::nullopt;
  Reading reading;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with("#EXT") && !reading.take(line)) return std::nullopt;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return reading.result();
}

int64_t live_playlist_lifetime_ms(const LivePlaylist& playlist,
                                  const std::optional<StoredPlaylist>& past, int64_t now_ms,
                                  int64_t age_ms) {
  if (!past || !is_possible(*past, now_ms)) return age_ms;
  // An encoder that completes several segments at once has another rhythm.
  if (past->edge == UINT64_MAX || playlist.edge != past->edge + 1) return age_ms;
  const int64_t earlier = kEarlierMs + std::min(playlist.rounding_ms, age_ms / 4);
  const int64_t until_next = std::max(age_ms, playlist.segment_ms - earlier);
  // The last segment was completed a moment ago.
  if (now_ms - past->stored_ms <= age_ms + age_ms / 2) return until_next;
  // The previous answer was used until this segment was due, and the segment was there.
  const bool was_due = past->fresh_until_ms - past->stored_ms > age_ms;
  if (!was_due) return age_ms;
  return std::clamp(past->fresh_until_ms + until_next - now_ms, age_ms, until_next);
}

}  // namespace streamgate
