// The bounds of PlaylistRewriter: of one write(), and of the links of one line.
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "tests/unit/playlist_rewriting.h"
#include "worker/documents/hls/playlist_rewriter.h"

namespace streamgate {
namespace {

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();

const DocumentSetting& setting() {
  static const DocumentSetting one = [] {
    DocumentSetting out;
    out.base_url = "https://up.example/a/index.m3u8";
    out.route_path = "/stream";
    return out;
  }();
  return one;
}

std::string sibling(const std::string& name) {
  return "/stream?url=https%3A%2F%2Fup.example%2Fa%2F" + name;
}

TEST(PlaylistRewriter, StopsBehindTheLineThatFillsTheOutput) {
  const std::string text = "a.ts\nb.ts\nc.ts\nunfinished";
  PlaylistRewriter rewriter;
  rewriter.begin(setting());
  std::string rewritten;
  size_t at = 0;
  for (int calls = 0; at < text.size(); ++calls) {
    ASSERT_LT(calls, 4);
    BlockBuffer out;
    at += rewriter.write(std::string_view(text).substr(at), out, 1);
    rewritten += out.text();
    EXPECT_LE(out.size(), sibling("a.ts").size() + 1);
  }
  BlockBuffer out;
  rewriter.finish(out);
  rewritten += out.text();
  EXPECT_EQ(rewritten, sibling("a.ts") + "\n" + sibling("b.ts") + "\n" + sibling("c.ts") + "\n" +
                           sibling("unfinished"));
}

TEST(PlaylistRewriter, HoldsNoMoreThanTheUnfinishedLine) {
  BlockBuffer out;
  DocumentSetting with_limit = setting();
  with_limit.longest_line = 100;
  PlaylistRewriter rewriter;
  rewriter.begin(with_limit);
  const std::string line = "#EXT-X-KEY:METHOD=AES-128,URI=\"data:";
  rewriter.write(line, out, kNoLimit);
  EXPECT_EQ(out.size(), 0u);
  size_t written = line.size();
  for (; written < 1000 * 1000; written += 1000) {
    rewriter.write(std::string(1000, 'x'), out, kNoLimit);
    EXPECT_EQ(out.size(), written + 1000);
  }
}

TEST(PlaylistRewriter, TheLinksOfOneLineHaveALimit) {
  std::string line = "#EXT-X-MAP:";
  for (int i = 0; i < 10'000; ++i) line += "URI=\"a\",";
  BlockBuffer out;
  PlaylistRewriter rewriter;
  rewriter.begin(setting());
  rewriter.write(line + "\n", out, kNoLimit);
  EXPECT_TRUE(rewriter.has_grown_too_far());
  EXPECT_LT(out.size(), size_t{512} * 1024);
}

size_t costly_bytes_of(const std::string& text) {
  BlockBuffer out;
  PlaylistRewriter rewriter;
  rewriter.begin(setting());
  rewriter.write(text, out, kNoLimit);
  return rewriter.costly_bytes();
}

TEST(PlaylistRewriter, LinesThatTakeLongAreCounted) {
  EXPECT_EQ(costly_bytes_of("#EXTM3U\n#EXTINF:4,\na.ts\nhttps://b.example/a.ts\n/a.ts\n"), 0U);
  for (const std::string& line :
       {std::string("#EXTVLCOPT:http-user-agent=x"), std::string("#KODIPROP:stream_headers=A=b"),
        std::string("#EXTHTTP:{\"A\":\"b\"}"), std::string("a.ts|A=b&C=d"),
        std::string("http://u:p@b.example/"), std::string("http://\xE4\xB8\xAD.example/"),
        std::string("..\\a.ts"), std::string("../a.ts")}) {
    EXPECT_GE(costly_bytes_of(line + "\n"), line.size() - 1) << line;
    std::string many;
    for (int i = 0; i < 100; ++i) many += line + "\n";
    EXPECT_GE(costly_bytes_of(many), 100 * (line.size() - 1)) << line;
  }
}

// Each line of 18 bytes takes as long as 240 KB of others.
class LongVariables : public testing::TestWithParam<const char*> {
 protected:
  static std::string lines(size_t count) {
    std::string text;
    for (size_t i = 0; i < count; ++i) text.append(GetParam()).append("\n");
    return text;
  }
  const std::string definition_ =
      "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"urn:" + std::string(60'000, 'v') + "\"\n";
};

TEST_P(LongVariables, EndACall) {
  PlaylistRewriter rewriter;
  rewriter.begin(setting());
  BlockBuffer out;
  ASSERT_EQ(rewriter.write(definition_, out, kNoLimit), definition_.size());
  const size_t costly_before = rewriter.costly_bytes();
  const std::string text = lines(100);
  const std::string line = lines(1);
  EXPECT_EQ(rewriter.write(text, out, kNoLimit), line.size());
  EXPECT_GE(rewriter.costly_bytes() - costly_before, 240'000U / 32);
  for (size_t at = line.size(); at < text.size();) {
    at += rewriter.write(std::string_view(text).substr(at), out, kNoLimit);
  }
  rewriter.finish(out);
  EXPECT_FALSE(rewriter.has_grown_too_far());
  EXPECT_EQ(out.text(), definition_ + text);
}

TEST_P(LongVariables, AreFewInAHeldPlaylist) {
  PlaylistRewriter rewriter;
  rewriter.begin(setting());
  BlockBuffer out;
  const std::string text = definition_ + "#EXT-X-SESSION-DATA:DATA-ID=\"x\"\n" + lines(100);
  for (size_t at = 0; at < text.size();) {
    at += rewriter.write(std::string_view(text).substr(at), out, kNoLimit);
  }
  rewriter.finish(out);
  EXPECT_TRUE(rewriter.has_grown_too_far());
}

// With it each link takes 8 KB.
DocumentSetting setting_with_header() {
  DocumentSetting out = setting();
  out.same_origin_parameters = "&h_A=" + std::string(8000, 'a');
  return out;
}

// A date range with a list in a `data:` URI, which ends with `end`.
std::string line_with_list(int links, const std::string& end) {
  std::string line = "#EXT-X-DATERANGE:X-ASSET-LIST=\"data:,%7B%22ASSETS%22:[";
  for (int i = 0; i < links; ++i) line += "%7B%22URI%22:%22a%22%7D,";
  return line + end + "\"\n";
}

// Nothing of such a list is written.
TEST(PlaylistRewriter, ListsThatAreBrokenEndACall) {
  const DocumentSetting with_header = setting_with_header();
  std::string text = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n";
  for (int i = 0; i < 10; ++i) text += line_with_list(20, "");
  PlaylistRewriter rewriter;
  rewriter.begin(with_header);
  BlockBuffer out;
  EXPECT_LT(rewriter.write(text, out, kNoLimit), text.size() / 2);
  EXPECT_FALSE(rewriter.has_grown_too_far());
}

TEST(PlaylistRewriter, ALongListInAUriIsRefused) {
  PlaylistRewriter rewriter;
  const std::string text = "#EXTM3U\n" + line_with_list(40, "%7B%7D]%7D");
  rewritten_in_two(rewriter, setting_with_header(), text, 0);
  EXPECT_TRUE(rewriter.has_grown_too_far());
}

INSTANTIATE_TEST_SUITE_P(PlaylistRewriter, LongVariables,
                         testing::Values("{$a}{$a}{$a}{$a}",
                                         "#EXT-X-KEY:KEYFORMAT=\"{$a}{$a}{$a}{$a}\"",
                                         "#EXT-X-DEFINE:NAME=\"b\",VALUE=\"{$a}{$a}{$a}{$a}\""));

TEST(PlaylistRewriter, TheVariablesOfOneLineHaveALimit) {
  std::string text =
      "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"" + std::string(60'000, 'v') + "\"\n#EXT-X-KEY:";
  for (int i = 0; i < 20'000; ++i) text += "KEYFORMAT=\"{$a}{$a}\",";
  PlaylistRewriter rewriter;
  rewritten_in_two(rewriter, setting(), text + "\n", 0);
  EXPECT_TRUE(rewriter.has_grown_too_far());
  EXPECT_LT(rewriter.costly_bytes(), size_t{64} * 1024);
}

TEST(PlaylistRewriter, AHeldPlaylistStaysShort) {
  std::string text = "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"" + std::string(1000, '%') +
                     "\"\n#EXT-X-SESSION-DATA:DATA-ID=\"x\"\n";
  for (int i = 0; i < 3000; ++i) text += "{$a}\n";
  PlaylistRewriter rewriter;
  const std::string out = rewritten_in_two(rewriter, setting(), text, 0);
  EXPECT_TRUE(rewriter.has_grown_too_far());
  EXPECT_LT(out.size(), size_t{5} * 1024 * 1024);
}

TEST(PlaylistRewriter, OneLongReferenceDoesNotEndTheDocument) {
  for (const char byte : {'a', '|', '$', '"', '@', '%'}) {
    BlockBuffer out;
    PlaylistRewriter rewriter;
    rewriter.begin(setting());
    rewriter.write("x/" + std::string(900'000, byte) + "\na.ts\n", out, kNoLimit);
    EXPECT_FALSE(rewriter.has_grown_too_far()) << byte;
    EXPECT_TRUE(out.text().ends_with(sibling("a.ts") + "\n")) << byte;
  }
}

}  // namespace
}  // namespace streamgate
