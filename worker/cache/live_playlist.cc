#include "worker/cache/live_playlist.h"

#include <algorithm>

#include "common/ascii.h"

namespace streamgate {
namespace {

constexpr size_t kMostText = size_t{256} * 1024;
constexpr int64_t kLongestSegmentMs = 30'000;
// A stored answer older than this tells nothing about the next one.
constexpr int64_t kLongestPastMs = 3'600'000;
// Durations are rounded to milliseconds, so the request comes a little earlier each time. When it
// comes too early, the next one comes after `age_ms`: after a hundred segments if that is 1 s.
constexpr int64_t kEarlierMs = 10;

// `6`, `6.006`; none for other texts. At most kLongestSegmentMs.
std::optional<int64_t> milliseconds_in(std::string_view text) {
  const size_t dot = std::min(text.find('.'), text.size());
  const auto seconds = ascii::parse_uint(text.substr(0, dot));
  if (!seconds) return std::nullopt;
  if (*seconds >= kLongestSegmentMs / 1000) return kLongestSegmentMs;
  int64_t out = static_cast<int64_t>(*seconds) * 1000;
  int64_t weight = 100;
  for (const char digit : text.substr(std::min(dot + 1, text.size()))) {
    if (!ascii::is_digit(digit)) return std::nullopt;
    out += weight * (digit - '0');
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
      duration_ = milliseconds_in(ascii::trim(value->substr(0, value->find(','))));
    } else if (const auto first = value_of(line, "#EXT-X-MEDIA-SEQUENCE:")) {
      first_ = ascii::parse_uint(*first);
    } else if (const auto target = value_of(line, "#EXT-X-TARGETDURATION:")) {
      target_ = milliseconds_in(*target);
    } else {
      return !line.starts_with("#EXT-X-ENDLIST") && !line.starts_with("#EXT-X-PART") &&
             !line.starts_with("#EXT-X-SKIP:") && !line.starts_with("#EXT-X-STREAM-INF:");
    }
    return true;
  }

  std::optional<LivePlaylist> result() const {
    if (segments_ == 0 || !first_ || !target_ || !duration_) return std::nullopt;
    return LivePlaylist{*first_ + segments_, std::min(*duration_, *target_)};
  }

 private:
  uint64_t segments_ = 0;
  std::optional<uint64_t> first_ = 0;
  std::optional<int64_t> target_;
  std::optional<int64_t> duration_;  // of the last segment
};

bool is_possible(const StoredPlaylist& past, int64_t now_ms) {
  return past.edge > 0 && past.stored_ms <= now_ms && past.stored_ms >= now_ms - kLongestPastMs &&
         past.fresh_until_ms >= past.stored_ms &&
         past.fresh_until_ms <= past.stored_ms + kLongestPastMs;
}

}  // namespace

std::optional<LivePlaylist> read_live_playlist(std::string_view text) {
  if (text.size() > kMostText || !text.starts_with("#EXTM3U")) return std::nullopt;
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
  const int64_t until_next = playlist.segment_ms - kEarlierMs;
  if (!past || !is_possible(*past, now_ms) || playlist.edge <= past->edge) return age_ms;
  // The last segment was completed a moment ago.
  if (now_ms - past->stored_ms <= age_ms + age_ms / 2) return std::max(age_ms, until_next);
  // It was due when the previous answer became stale, and came in time.
  const bool was_due = past->fresh_until_ms - past->stored_ms > age_ms;
  if (!was_due || playlist.edge != past->edge + 1) return age_ms;
  return std::max(age_ms, past->fresh_until_ms + until_next - now_ms);
}

}  // namespace streamgate
