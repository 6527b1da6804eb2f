// Date ranges and hints whose URIs must equal those of tags that come later.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "tests/unit/playlist_rewriting.h"
#include "worker/documents/hls/playlist_rewriter.h"

namespace streamgate {
namespace {

const DocumentSetting kSetting = setting_for("https://up.example/live/index.m3u8");
constexpr std::string_view kMedia = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n";

std::string rewrite(std::string_view text) {
  PlaylistRewriter rewriter;
  return rewritten(rewriter, kSetting, text);
}

std::string sibling(std::string_view name) {
  return link_to("https://up.example/live/" + std::string(name));
}

// The link that `attribute` of a date range with this class becomes for `uri`; empty if it stays.
std::string link_of(const std::string& attribute, const std::string& uri,
                    const std::string& of_class) {
  const std::string begin = "#EXT-X-DATERANGE:ID=\"1\",CLASS=\"" + of_class + "\"," + attribute;
  const std::string text = rewrite(begin + "=\"" + uri + "\",DURATION=1\n");
  const size_t at = begin.size() + 2;
  const std::string link = text.substr(at, text.find('"', at) - at);
  EXPECT_EQ(text, begin + "=\"" + link + "\",DURATION=1\n");
  return link == uri ? std::string() : link;
}

TEST(DateRanges, SchedulesComeThroughUs) {
  const std::string schedule = "com.apple.hls.daterange-schedule";
  EXPECT_EQ(link_of("X-URI", "s.json", schedule), sibling("s.json") + "&sg_k=assets");
  EXPECT_EQ(link_of("X-URI", "https://ads.example/s?a=1", schedule),
            link_to("https://ads.example/s?a=1") + "&sg_k=assets");
  EXPECT_EQ(link_of("X-URI", "s.json", "com.example.schedule"), "");
}

TEST(DateRanges, APreloadHasTheLinkOfItsTarget) {
  const std::string interstitial = "com.apple.hls.interstitial";
  for (const std::string uri : {"ad.m3u8", "ad.m3u8?id=1", "/ad.M3U", "https://ads.example/ad?id=1",
                                "ad", "ad.mp4", "a.mpd", "image.jpg?x", "list.json"}) {
    const std::string preload = link_of("X-URI", uri, "com.apple.hls.preload");
    EXPECT_NE(preload, "") << uri;
    EXPECT_EQ(link_of("X-ASSET-URI", uri, interstitial), preload) << uri;
    EXPECT_EQ(link_of("X-URI", uri, "com.apple.hls.daterange-schedule"), preload) << uri;
  }
  for (const std::string uri : {"https://ads.example/pod?id=1", "list.json", "list"}) {
    EXPECT_EQ(link_of("X-ASSET-LIST", uri, interstitial),
              link_of("X-URI", uri, "com.apple.hls.preload"))
        << uri;
  }
  EXPECT_EQ(link_of("X-ASSET-URI", "ad.mp4?id=1", interstitial),
            sibling("ad.mp4?id=1") + "&sg_ext=.mp4");
}

TEST(Hints, TheHintOfAKeyIsTheLinkOfTheKey) {
  const std::string media(kMedia);
  const std::string hint = media + "#EXT-X-PRELOAD-HINT:TYPE=KEY,URI=\"";
  const std::string key = media + "#EXT-X-KEY:URI=\"";
  for (const std::string rest :
       {"METHOD=AES-128", "METHOD=AES-128,KEYFORMAT=\"identity\"",
        "METHOD=SAMPLE-AES,KEYFORMAT=\"com.apple.streamingkeydelivery\""}) {
    for (const std::string uri : {"next.key", "next", "https://keys.example/1?a=b"}) {
      const std::string of_key = rewrite(key + uri + "\"," + rest).substr(key.size());
      EXPECT_EQ(rewrite(hint + uri + "\"," + rest), hint + of_key) << rest;
    }
  }
  EXPECT_EQ(rewrite(hint + "next\",METHOD=AES-128"), hint + sibling("next") + "\",METHOD=AES-128");
}

// Players take an empty KEYFORMAT for none.
TEST(Hints, AnEmptyKeyFormatIsNone) {
  EXPECT_EQ(rewrite("#EXT-X-KEY:METHOD=AES-128,KEYFORMAT=\"\",URI=\"k\""),
            "#EXT-X-KEY:METHOD=AES-128,KEYFORMAT=\"\",URI=\"" + sibling("k") + "\"");
}

}  // namespace
}  // namespace streamgate
