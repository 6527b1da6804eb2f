#include "worker/explain/playlist_facts.h"

#include <gtest/gtest.h>

#include <string>

namespace streamgate {
namespace {

constexpr VariantLimits kNoLimits;

ExplainedPlaylist facts_of(std::string_view text) { return playlist_facts(text, text, kNoLimits); }

TEST(PlaylistFacts, NamesTheTypeByTheTags) {
  EXPECT_EQ(facts_of("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na\n").type, "multivariant");
  EXPECT_EQ(facts_of("#EXTM3U\n#EXTINF:1,\na\n").type, "channel list");
  const auto window = [](const std::string& tags) {
    const ExplainedPlaylist facts = facts_of("#EXTM3U\n#EXT-X-TARGETDURATION:6\n" + tags);
    EXPECT_EQ(facts.type, "media");
    EXPECT_EQ(facts.target_duration, "6");
    return facts.window;
  };
  EXPECT_EQ(window("#EXTINF:1,\na\n"), "live");
  EXPECT_EQ(window("#EXTINF:1,\na\n#EXT-X-ENDLIST"), "VOD");
  EXPECT_EQ(window("#EXT-X-PLAYLIST-TYPE: VOD\r\n"), "VOD");
  EXPECT_EQ(window("#EXT-X-PLAYLIST-TYPE:EVENT\n"), "event");
}

TEST(PlaylistFacts, CountsLinesOfAllEnds) {
  const ExplainedPlaylist facts = facts_of("#EXTM3U\r\n#EXTINF:1,\r\na\n\n# b\rc");
  EXPECT_EQ(facts.lines, 6u);
  EXPECT_EQ(facts.channels, 2u);
  EXPECT_EQ(facts.segments, 0u);
}

TEST(PlaylistFacts, TheUriOfAVariantIsNoSegment) {
  const ExplainedPlaylist facts = facts_of(
      "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,URI=\"x\"\n"
      "#EXT-X-STREAM-INF:BANDWIDTH=9,RESOLUTION=1x2,CODECS=\"a,b\"\n\n# c\nv?token=t\ns\n");
  ASSERT_EQ(facts.variants.size(), 1u);
  EXPECT_EQ(facts.variants[0].url, "v?token=*");
  EXPECT_EQ(facts.variants[0].bandwidth, "9");
  EXPECT_EQ(facts.variants[0].resolution, "1x2");
  EXPECT_EQ(facts.variants[0].codecs, "a,b");
  EXPECT_EQ(facts.segments, 1u);
  EXPECT_EQ(facts.renditions, 1u);
}

TEST(PlaylistFacts, CountsAllVariantsButListsSixteen) {
  std::string text = "#EXTM3U\n";
  for (int i = 0; i < 20; ++i) text += "#EXT-X-STREAM-INF:BANDWIDTH=1\nv\n";
  const ExplainedPlaylist facts = facts_of(text);
  EXPECT_EQ(facts.variant_count, 20u);
  EXPECT_EQ(facts.variants.size(), 16u);
}

TEST(PlaylistFacts, EachKindOfKeyIsNamedOnce) {
  const ExplainedPlaylist facts = facts_of(
      "#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"a\"\n#EXT-X-KEY:METHOD=AES-128,URI=\"b\"\n"
      "#EXT-X-KEY:METHOD=NONE\n#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,KEYFORMAT=\"drm\"\n"
      "#EXT-X-KEY:METHOD=SAMPLE-AES,KEYFORMAT=\"identity\"\n#EXT-X-PART:URI=\"p\"\n");
  EXPECT_EQ(facts.keys, (std::vector<std::string>{"AES-128", "SAMPLE-AES (drm)", "SAMPLE-AES"}));
  EXPECT_TRUE(facts.is_low_latency);
}

TEST(PlaylistFacts, ShowsTheFirstLinksWithoutSecrets) {
  const ExplainedPlaylist facts = playlist_facts(
      "#EXTM3U\na?token=t\nb\nc\nd\n",
      "#EXTM3U\nhttp://p/stream?url=http%3A%2F%2Fh%2Fa%3Ftoken%3Dt&h_Cookie=c&sg_ext=.ts\n"
      "/b\n/c\n/d\n",
      kNoLimits);
  EXPECT_EQ(facts.rewritten_lines, 4u);
  ASSERT_EQ(facts.links.size(), 3u);
  EXPECT_EQ(facts.links[0].before, "a?token=*");
  EXPECT_EQ(facts.links[0].after,
            "http://p/stream?url=http%3A%2F%2Fh%2Fa%3Ftoken%3D%2A&h_Cookie=*&sg_ext=*");
}

TEST(PlaylistFacts, VariantsBeyondTheLimitsAreLeftOut) {
  const std::string low = "#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=1x360\nlow\n";
  const std::string high = "#EXT-X-STREAM-INF:BANDWIDTH=2,RESOLUTION=1x720\nhigh\n";
  const std::string rewritten = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=1x360\n/low\n";
  const ExplainedPlaylist facts = playlist_facts("#EXTM3U\n" + high + low, rewritten, {400, 0});
  ASSERT_EQ(facts.variants.size(), 1u);
  EXPECT_EQ(facts.variants[0].url, "low");
  EXPECT_EQ(facts.left_out, 1u);
  EXPECT_EQ(facts.rewritten_lines, 1u);
  EXPECT_EQ(playlist_facts("#EXTM3U\n#EXTINF:1,\na\n", "", {400, 1}).left_out, 0u);
}

}  // namespace
}  // namespace streamgate
