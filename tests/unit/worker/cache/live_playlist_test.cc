#include "worker/cache/live_playlist.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

namespace streamgate {
namespace {

constexpr int64_t kAge = 1'000;

std::string playlist(const std::string& lines) { return "#EXTM3U\n" + lines; }

TEST(LivePlaylist, EdgeIsTheNumberBehindTheLastSegment) {
  const auto read =
      read_live_playlist(playlist("#EXT-X-TARGETDURATION:6\r\n#EXT-X-MEDIA-SEQUENCE: 41 \r\n"
                                  "#EXTINF:6.006,title\r\na.ts\r\n#EXTINF:4.25,\r\nb.ts\r\n"));
  ASSERT_TRUE(read);
  EXPECT_EQ(43U, read->edge);
  EXPECT_EQ(4'250, read->segment_ms);
}

TEST(LivePlaylist, WithoutANumberTheFirstSegmentIsZero) {
  const auto read = read_live_playlist(playlist("#EXT-X-TARGETDURATION:6\n#EXTINF:5,\na.ts"));
  ASSERT_TRUE(read);
  EXPECT_EQ(1U, read->edge);
  EXPECT_EQ(5'000, read->segment_ms);
}

TEST(LivePlaylist, DurationsHaveBounds) {
  const auto duration_of = [](const std::string& target, const std::string& segment) {
    const auto read = read_live_playlist(
        playlist("#EXT-X-TARGETDURATION:" + target + "\n#EXTINF:" + segment + ",\na.ts\n"));
    return read ? read->segment_ms : -1;
  };
  EXPECT_EQ(2'500, duration_of("2", "99999"));
  EXPECT_EQ(6'400, duration_of("6", "6.4"));
  EXPECT_EQ(30'000, duration_of("600", "99999999999"));
  EXPECT_EQ(1'234, duration_of("6", "1.2349999999999999999999"));
  EXPECT_EQ(1'000, duration_of("6", "1."));
  EXPECT_EQ(-1, duration_of("6", "long"));
  EXPECT_EQ(-1, duration_of("6", "-1"));
  EXPECT_EQ(-1, duration_of("6", "1.x"));
  EXPECT_EQ(-1, duration_of("x", "1"));
}

TEST(LivePlaylist, OtherDocumentsAreNone) {
  const std::string live = "#EXT-X-TARGETDURATION:6\n#EXTINF:5,\na.ts\n";
  EXPECT_TRUE(read_live_playlist(playlist(live)));
  for (const char* line : {"#EXT-X-ENDLIST", "#EXT-X-PART-INF:PART-TARGET=0.3",
                           "#EXT-X-PART:URI=\"a\",DURATION=0.3", "#EXT-X-SKIP:SKIPPED-SEGMENTS=3",
                           "#EXT-X-STREAM-INF:BANDWIDTH=1", "#EXT-X-MEDIA-SEQUENCE:x"}) {
    EXPECT_FALSE(read_live_playlist(playlist(live + line + "\n"))) << line;
  }
  EXPECT_FALSE(read_live_playlist(live));
  EXPECT_FALSE(read_live_playlist(""));
  EXPECT_FALSE(read_live_playlist(playlist("#EXT-X-TARGETDURATION:6\n")));
  EXPECT_FALSE(read_live_playlist(playlist("#EXTINF:5,\na.ts\n")));
  EXPECT_FALSE(read_live_playlist(playlist(live + std::string(256 * 1024, '#'))));
}

int64_t lifetime(uint64_t edge, std::optional<StoredPlaylist> past, int64_t now_ms) {
  return live_playlist_lifetime_ms({edge, 6'400, 0}, past, now_ms, kAge);
}

TEST(LivePlaylist, ChangeWithinAShortTimeTellsWhenTheNextOneComes) {
  const StoredPlaylist past{10'000, 11'000, 7};
  EXPECT_EQ(6'390, lifetime(8, past, 11'000));
  EXPECT_EQ(6'390, lifetime(8, past, 11'500));
  EXPECT_EQ(kAge, lifetime(9, past, 11'000));
  EXPECT_EQ(kAge, lifetime(8, past, 11'501));
  EXPECT_EQ(kAge, lifetime(7, past, 11'000));
  EXPECT_EQ(kAge, lifetime(6, past, 11'000));
  EXPECT_EQ(kAge, lifetime(8, std::nullopt, 11'000));
}

TEST(LivePlaylist, ExpectedChangeKeepsTheRhythm) {
  const StoredPlaylist past{10'000, 16'390, 7};
  EXPECT_EQ(6'390, lifetime(8, past, 16'390));
  EXPECT_EQ(6'000, lifetime(8, past, 16'780));
  EXPECT_EQ(kAge, lifetime(8, past, 23'000));
  EXPECT_EQ(kAge, lifetime(9, past, 16'390));
  EXPECT_EQ(kAge, lifetime(7, past, 16'390));
}

TEST(LivePlaylist, ShortSegmentsDoNotShortenTheAge) {
  const StoredPlaylist past{10'000, 11'000, 7};
  EXPECT_EQ(kAge, live_playlist_lifetime_ms({8, 500, 0}, past, 11'000, kAge));
  EXPECT_EQ(kAge, live_playlist_lifetime_ms({8, 0, 500}, past, 11'000, kAge));
}

TEST(LivePlaylist, NonsenseOfAnotherProcessTellsNothing) {
  constexpr int64_t kMin = INT64_MIN;
  constexpr int64_t kMax = INT64_MAX;
  for (const StoredPlaylist& past : {StoredPlaylist{kMin, kMax, 7},
                                     {kMax, kMin, 7},
                                     {11'001, 12'000, 7},
                                     {10'500, 10'400, 7},
                                     {10'500, kMax, 7},
                                     {10'500, 11'500, 0}}) {
    EXPECT_EQ(kAge, lifetime(8, past, 11'000));
  }
  EXPECT_EQ(kAge, live_playlist_lifetime_ms(
                      {0, 6'400, 0}, StoredPlaylist{10'500, 11'500, UINT64_MAX}, 11'000, kAge));
  EXPECT_EQ(6'390, lifetime(8, StoredPlaylist{8'000, 3'608'000, 7}, 11'000));
}

std::string digits(int64_t milliseconds) { return std::to_string(1'000 + milliseconds).substr(1); }

// Viewers ask all the time; an encoder completes a segment now and then.
struct Outcome {
  double requests_per_segment;
  int64_t most_stale_ms;
};

Outcome simulate(const std::vector<int64_t>& durations, size_t segments,
                 const std::string& printed = "") {
  std::optional<StoredPlaylist> past;
  int64_t next_change = 700;
  uint64_t edge = 1;
  int64_t duration = durations[0];
  int64_t changed = 0;
  size_t requests = 0;
  Outcome out{0, 0};
  int64_t now = 0;
  for (; edge < segments; now += 10) {
    if (now >= next_change) {
      duration = durations[edge++ % durations.size()];
      changed = next_change;
      next_change += durations[edge % durations.size()];
    }
    if (past && past->edge < edge) out.most_stale_ms = std::max(out.most_stale_ms, now - changed);
    if (past && now < past->fresh_until_ms) continue;
    ++requests;
    const std::string text =
        printed.empty() ? std::to_string(duration / 1000) + "." + digits(duration % 1000) : printed;
    const auto read =
        read_live_playlist(playlist("#EXT-X-TARGETDURATION:10\n#EXTINF:" + text + ",\na.ts\n"));
    const LivePlaylist playlist{edge, read->segment_ms, read->rounding_ms};
    past = {now, now + live_playlist_lifetime_ms(playlist, past, now, kAge), edge};
  }
  out.requests_per_segment = static_cast<double>(requests) / static_cast<double>(segments);
  return out;
}

TEST(LivePlaylist, OneRequestForEachSegment) {
  for (const auto& durations : std::vector<std::vector<int64_t>>{
           {2'000}, {2'002}, {6'006}, {10'000}, {4'000, 4'000, 4'200, 3'800}}) {
    const Outcome run = simulate(durations, 1'000);
    EXPECT_LT(run.requests_per_segment, durations.size() > 1 ? 1.5 : 1.02) << durations[0];
    EXPECT_LE(run.most_stale_ms, 1'500) << durations[0];
  }
}

// Old playlists have whole seconds.
TEST(LivePlaylist, RoundedDurationsCostSomeMoreRequests) {
  struct Case {
    int64_t real;
    const char* printed;
  };
  for (const Case& each : {Case{9'600, "10"},
                           {10'400, "10"},
                           {5'760, "6"},
                           {6'006, "6"},
                           {1'920, "2"},
                           {1'980, "2.0"},
                           {2'000, "2"}}) {
    const Outcome run = simulate({each.real}, 1'000, each.printed);
    EXPECT_LT(run.requests_per_segment, 2.1) << each.real;
    EXPECT_LE(run.most_stale_ms, std::max<int64_t>(1'500, each.real)) << each.real;
  }
}

TEST(LivePlaylist, AShortSegmentDelaysItsPlaylistByOneSegment) {
  for (const auto& durations :
       std::vector<std::vector<int64_t>>{{10'000, 10'000, 2'000}, {6'000, 6'000, 6'000, 2'000}}) {
    const Outcome run = simulate(durations, 1'000);
    EXPECT_LE(run.most_stale_ms, durations[0]);
    EXPECT_LT(run.requests_per_segment, 3);
  }
}

}  // namespace
}  // namespace streamgate
