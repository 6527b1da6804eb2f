#include "worker/documents/hls/variant_filter.h"

#include <gtest/gtest.h>

#include <ctime>
#include <string>

#include "tests/unit/playlist_rewriting.h"
#include "worker/documents/hls/playlist_rewriter.h"

namespace streamgate {
namespace {

std::string variant(const std::string& attributes, const std::string& uri) {
  return "#EXT-X-STREAM-INF:" + attributes + "\n" + uri + "\n";
}

const std::string kHead = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"a\",URI=\"a\"\n";
const std::string kLow = variant("BANDWIDTH=100,RESOLUTION=640x360", "low");
const std::string kMiddle =
    variant("RESOLUTION=1280x720,CODECS=\"a,BANDWIDTH=1\",BANDWIDTH=200", "mid");
const std::string kHigh = variant("BANDWIDTH=300,RESOLUTION=1920x1080", "high");
const std::string kAudio = variant("BANDWIDTH=10", "audio");
const std::string kIFrames =
    "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=300,RESOLUTION=1920x1080,URI=\"i\"\n";

TEST(VariantFilter, LeavesOutWhatExceedsALimit) {
  const std::string all = kHead + kHigh + kLow + kIFrames + kMiddle + kAudio;
  EXPECT_EQ(filter_variants(all, {720, 0}), kHead + kLow + kMiddle + kAudio);
  EXPECT_EQ(filter_variants(all, {0, 100}), kHead + kLow + kAudio);
  EXPECT_EQ(filter_variants(all, {720, 100}), kHead + kLow + kAudio);
  EXPECT_EQ(filter_variants(all, {1080, 300}), all);
}

TEST(VariantFilter, KeepsTheSmallestVariantIfAllExceedTheLimits) {
  EXPECT_EQ(filter_variants(kHead + kHigh + kLow + kMiddle, {100, 0}), kHead + kLow);
  EXPECT_EQ(filter_variants(kHead + kHigh + kLow + kIFrames, {0, 5}), kHead + kLow);
  const std::string backup = variant("BANDWIDTH=100,RESOLUTION=640x360,PATHWAY-ID=\"B\"", "b");
  EXPECT_EQ(filter_variants(kLow + backup + kHigh, {0, 5}), kLow + backup);
  EXPECT_EQ(filter_variants(kAudio + variant("BANDWIDTH=20", "more"), {0, 5}), kAudio);
}

TEST(VariantFilter, DoesNotLeaveAudioAlone) {
  EXPECT_EQ(filter_variants(kAudio + kHigh + kLow, {100, 0}), kAudio + kLow);
  EXPECT_EQ(filter_variants(kAudio + kHigh, {0, 50}), kAudio + kHigh);
}

TEST(VariantFilter, ReadsTheUriBehindBlankLinesCommentsAndOtherTags) {
  EXPECT_EQ(filter_variants("#EXT-X-STREAM-INF:BANDWIDTH=9,RESOLUTION=1x999\r\n\r\n#c\r\n" +
                                kIFrames + " high\r\n" + kLow,
                            {360, 0}),
            "\r\n#c\r\n" + kLow);
  EXPECT_EQ(filter_variants("#EXT-X-STREAM-INF:RESOLUTION=1x9\rhigh\r" + kLow +
                                "#EXT-X-STREAM-INF:RESOLUTION=1x999",
                            {9, 0}),
            "#EXT-X-STREAM-INF:RESOLUTION=1x9\rhigh\r");
}

class FilteredPlaylist : public testing::Test {
 protected:
  static std::string rewrite(const std::string& text) {
    DocumentSetting setting = setting_for("https://up.example/m.m3u8");
    setting.max_height = 720;
    PlaylistRewriter rewriter;
    return rewritten(rewriter, setting, text);
  }
  static std::string link(const std::string& name) { return link_to("https://up.example/" + name); }
};

TEST_F(FilteredPlaylist, IsRewrittenToo) {
  EXPECT_EQ(rewrite("#EXTM3U\n" + kHigh + kLow),
            "#EXTM3U\n" + variant("BANDWIDTH=100,RESOLUTION=640x360", link("low")));
  const std::string open = "#EXTM3U\n" + kHigh + "#EXT-X-STREAM-INF:RESOLUTION=1x9\n";
  EXPECT_EQ(rewrite(open + "v"), "#EXTM3U\n#EXT-X-STREAM-INF:RESOLUTION=1x9\n" + link("v"));
}

TEST_F(FilteredPlaylist, OfAnotherKindStays) {
  EXPECT_EQ(rewrite("#EXTM3U\n#EXTINF:4,\na\n#EXT-X-STREAM-INF:RESOLUTION=1x999\nb\n"),
            "#EXTM3U\n#EXTINF:4,\n" + link("a") + "\n#EXT-X-STREAM-INF:RESOLUTION=1x999\n" +
                link("b") + "\n");
  EXPECT_EQ(rewrite("http://h/a\nhttp://h/b"),
            link_to("http://h/a") + "\n" + link_to("http://h/b"));
}

TEST(VariantFilter, ALongLineInSingleBytesTakesNoQuadraticTime) {
  VariantFilter filter;
  filter.begin({720, 0});
  const std::string line = "#EXTM3U\n#" + std::string(size_t{200} * 1024, 'x');
  const std::clock_t began = std::clock();
  for (const char& c : line) EXPECT_EQ(filter.add({&c, 1}), "");
  EXPECT_LT(std::clock() - began, 5 * CLOCKS_PER_SEC);  // 0.1 s; quadratic time would be a minute
  EXPECT_EQ(filter.add("\n#EXTINF:2,\n"), line + "\n#EXTINF:2,\n");
}

TEST_F(FilteredPlaylist, ThatIsVeryLongStays) {
  DocumentSetting setting = setting_for("https://up.example/m.m3u8");
  setting.max_height = 1;
  const std::string text = kLow + kHigh + std::string(size_t{300} * 1024, '\n');
  PlaylistRewriter rewriter;
  const std::string out = rewritten_in_two(rewriter, setting, text, 100);
  EXPECT_NE(out.find(link("high")), out.npos);
}

}  // namespace
}  // namespace streamgate
