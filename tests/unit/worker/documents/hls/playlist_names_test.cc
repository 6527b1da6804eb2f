// The header of a playlist, the names of segments for FFmpeg, and headers behind a bar.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/unit/playlist_rewriting.h"
#include "worker/documents/hls/playlist_rewriter.h"

namespace streamgate {
namespace {

using namespace std::string_literals;

const DocumentSetting kSetting = setting_for("https://up.example/live/a/index.m3u8?tok=x/y");

std::string sibling(std::string_view name) {
  return link_to("https://up.example/live/a/" + std::string(name));
}

std::string rewrite(std::string_view text) {
  PlaylistRewriter rewriter;
  return rewritten(rewriter, kSetting, text);
}

TEST(PlaylistNames, LeavesOutTextInFrontOfTheHeader) {
  for (const std::string junk : {"\xEF\xBB\xBF", "\xEF\xBB\xBF\xEF\xBB\xBF", "<!-- built 12:00 -->",
                                 "\x01;", " \t<!---->", "0 "}) {
    EXPECT_EQ(rewrite(junk + "#EXTM3U\na.ts\n"), "#EXTM3U\n" + sibling("a.ts") + "\n") << junk;
    EXPECT_EQ(rewrite("\n" + junk + "#EXTM3U a=b\n"), "\n#EXTM3U a=b\n") << junk;
  }
  EXPECT_EQ(rewrite("x#EXTM3U.ts\n"), sibling("x#EXTM3U.ts") + "\n");
  EXPECT_EQ(rewrite("<br />\r\n<b>Warning</b>: x\n\n#EXTM3U\n<a.ts\n"),
            "\n#EXTM3U\n" + sibling("%3Ca.ts") + "\n");
}

constexpr std::string_view kMedia = "#EXT-X-TARGETDURATION:4\n";

TEST(PlaylistNames, SegmentsThatFfmpegWouldRefuseGetAnExtension) {
  const auto segment = [](std::string_view name) {
    return rewrite(std::string(kMedia) + "#EXTINF:4,\n" + std::string(name) + "\n")
        .substr(kMedia.size() + 11);
  };
  for (const char* name : {"a.jpg", "a.css", "a.js?v=2", "a", "a.ts/tok/1", "a.php?id=1.ts", "a.",
                           "a.m2ts", "?x", "a.jpg#f"}) {
    const std::string url = name[0] == '?' ? "index.m3u8?x" : name;
    const std::string extension = name[0] == '?' ? ".m3u8" : ".ts";
    EXPECT_EQ(segment(name), sibling(url) + "&sg_ext=" + extension + "\n") << name;
  }
  for (const char* name : {"a.ts", "a.TS", "a.m4s", "a.aac", "a.vtt", "a.html", "a.fmp4"}) {
    EXPECT_EQ(segment(name), sibling(name) + "\n");
  }
  EXPECT_EQ(segment("a.ts?t=1"), sibling("a.ts?t=1") + "&sg_ext=.ts\n");
}

TEST(PlaylistNames, MapsAndLaterSegmentsGetTheExtensionMp4) {
  const std::string mp4 = "&sg_ext=.mp4";
  const std::string head = "#EXT-X-MEDIA-SEQUENCE:1\n";
  EXPECT_EQ(rewrite(head + "a\n#EXT-X-MAP:URI=\"i.bin\"\nb.jpg\n#EXT-X-PART:URI=\"p\"\n" +
                    "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"q\"\nc.m4s\n"),
            head + sibling("a") + "&sg_ext=.ts\n#EXT-X-MAP:URI=\"" + sibling("i.bin") + mp4 +
                "\"\n" + sibling("b.jpg") + mp4 + "\n#EXT-X-PART:URI=\"" + sibling("p") + mp4 +
                "\"\n" + "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"" + sibling("q") + mp4 + "\"\n" +
                sibling("c.m4s") + "\n");
  EXPECT_EQ(rewrite(head + "#EXT-X-PRELOAD-HINT:URI=\"i\",TYPE=MAP\n#EXT-X-PART:URI=\"p\"\n"),
            head + "#EXT-X-PRELOAD-HINT:URI=\"" + sibling("i") + mp4 + "\",TYPE=MAP\n" +
                "#EXT-X-PART:URI=\"" + sibling("p") + "&sg_ext=.ts\"\n");
}

TEST(PlaylistNames, KeysVariantsAndImagesGetNoExtension) {
  const std::string media(kMedia);
  for (const std::string text :
       {"#EXT-X-KEY:METHOD=AES-128,URI=\"X\"", "#EXT-X-RENDITION-REPORT:URI=\"X\"",
        "#EXT-X-SESSION-DATA:URI=\"X\"", "#EXT-X-IMAGES-ONLY\nX"}) {
    std::string expected = text;
    expected.replace(text.find('X', text.size() - 2), 1, sibling("12345678"));
    std::string asked = text;
    asked.replace(text.find('X', text.size() - 2), 1, "12345678");
    EXPECT_EQ(rewrite(media + asked), media + expected);
  }
  EXPECT_EQ(rewrite("#EXT-X-STREAM-INF:BANDWIDTH=1\nlow.php\n"),
            "#EXT-X-STREAM-INF:BANDWIDTH=1\n" + sibling("low.php") + "\n");
  EXPECT_EQ(rewrite("#EXTM3U\n#EXTINF:-1,A\nlow.php\n"),
            "#EXTM3U\n#EXTINF:-1,A\n" + sibling("low.php") + "\n");
}

// A key may differ from the segments before it only in letters.
TEST(PlaylistNames, DoesNotMakeAKeyFromTheTemplateOfASegment) {
  std::string text(kMedia);
  std::string expected = text;
  for (int i = 0; i < 20; ++i) {
    text += "segment0\n";
    expected += sibling("segment0") + "&sg_ext=.ts\n";
  }
  EXPECT_EQ(rewrite(text + "#EXT-X-KEY:METHOD=AES-128,URI=\"segmentK\"\nsegment1\n"),
            expected + "#EXT-X-KEY:METHOD=AES-128,URI=\"" + sibling("segmentK") + "\"\n" +
                sibling("segment1") + "&sg_ext=.ts\n");
}

TEST(PlaylistNames, ADollarInTheNameOfAChannelsFileIsNoLabel) {
  const std::string list = "#EXTM3U\n#EXTINF:-1,A\n";
  for (const auto& [line, name] :
       std::vector<std::pair<std::string, std::string>>{{"$radio.mp3", "$radio.mp3"},
                                                        {"stream$1.m3u8", "stream$1.m3u8"},
                                                        {"a$b.c", "a"},
                                                        {"1.ts$2.ts", "1.ts"},
                                                        {"live.m3u8$HD", "live.m3u8"},
                                                        {"a$1.mpd|X-A=1", "a$1.mpd"}}) {
    const std::string suffix = line.ends_with("=1") ? "&h_X-A=1" : "";
    EXPECT_EQ(rewrite(list + "d/" + line), list + sibling("d/" + name) + suffix) << line;
  }
}

TEST(PlaylistNames, CutsHeadersOffAnyReference) {
  EXPECT_EQ(rewrite(std::string(kMedia) +
                    "#EXT-X-KEY:METHOD=AES-128,URI=\"k|X-A=1\"\ns.ts|X-A=2\nt.ts\n"),
            std::string(kMedia) + "#EXT-X-KEY:METHOD=AES-128,URI=\"" + sibling("k") +
                "&h_X-A=1\"\n" + sibling("s.ts") + "&h_X-A=2&sg_ext=.ts\n" + sibling("t.ts") +
                "\n");
}

}  // namespace
}  // namespace streamgate
