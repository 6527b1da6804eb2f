// The rewriter with variables, and with segments that are not proxied.
#include <gtest/gtest.h>

#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/playlist_rewriting.h"
#include "worker/documents/hls/playlist_rewriter.h"
#include "worker/documents/hls/variables.h"
#include "worker/links/parent_note.h"

namespace streamgate {
namespace {

const std::string kDirectory = "https://up.example/live/";
const DocumentSetting kSetting = setting_for(kDirectory + "m.m3u8?tok=a%2Bb+c&q=%22%0d1%22&e=&n");

std::string rewrite(std::string_view text, const DocumentSetting& setting = kSetting) {
  PlaylistRewriter rewriter;
  return rewritten(rewriter, setting, text);
}

std::string sibling(const std::string& name) { return link_to(kDirectory + name); }

std::string link_text(const std::vector<std::pair<std::string, std::string>>& variables) {
  Variables all;
  for (const auto& [name, value] : variables) all.define(name, value);
  return write_parent_note(all.to_list());
}

const std::string kBaseVariable = "#EXT-X-DEFINE:NAME=\"b\",VALUE=\"https://cdn.example/x\"\n";

TEST(PlaylistVariables, AreSubstitutedBeforeTheReferenceIsResolved) {
  EXPECT_EQ(rewrite(kBaseVariable + "{$b}/1.ts\n{$b}/2.ts\n{$b}/3.ts\n"),
            kBaseVariable + link_to("https://cdn.example/x/1.ts") + "\n" +
                link_to("https://cdn.example/x/2.ts") + "\n" +
                link_to("https://cdn.example/x/3.ts") + "\n");
  EXPECT_EQ(rewrite(kBaseVariable + "#EXT-X-KEY:METHOD=AES-128,URI=\"{$b}/k\",IV=0x1"),
            kBaseVariable + "#EXT-X-KEY:METHOD=AES-128,URI=\"" +
                link_to("https://cdn.example/x/k") + "\",IV=0x1");
}

TEST(PlaylistVariables, DecideWhichUrisAreAddresses) {
  const std::string define = "#EXT-X-DEFINE:NAME=\"f\",VALUE=\"identity\"\n";
  EXPECT_EQ(rewrite(define + "#EXT-X-KEY:METHOD=AES-128,KEYFORMAT=\"{$f}\",URI=\"k\"\n"),
            define + "#EXT-X-KEY:METHOD=AES-128,KEYFORMAT=\"{$f}\",URI=\"" + sibling("k") + "\"\n");
  const std::string data = "#EXT-X-DEFINE:NAME=\"d\",VALUE=\"data:\"\n{$d},x\n";
  EXPECT_EQ(rewrite(data), data);
}

TEST(PlaylistVariables, CountFromTheirDefinitionOnAndAreNotScannedAgain) {
  const std::string define =
      "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"{$z}\"\n#EXT-X-DEFINE:NAME=\"z\",VALUE=\"Z\"\n"
      "#EXT-X-DEFINE:NAME=\"c\",VALUE=\"{$z}{$a}\"\n#EXT-X-DEFINE:NAME=\"z\",VALUE=\"2\"\n";
  EXPECT_EQ(rewrite("{$z}\n" + define + "{$a}\n{$c}\n{$z}\n"),
            sibling("%7B$z%7D") + "\n" + define + sibling("%7B$z%7D") + "\n" +
                sibling("Z%7B$z%7D") + "\n" + sibling("Z") + "\n");
}

TEST(PlaylistVariables, LeaveOtherAttributesToThePlayer) {
  const std::string text = kBaseVariable + "#EXT-X-DATERANGE:ID=\"{$b}\",X-COM-A=\"{$b}\"\n" +
                           "#EXTINF:4,{$b}\n#EXT-X-SESSION-DATA:DATA-ID=\"{$b}\",VALUE=\"{$b}\"\n";
  EXPECT_EQ(rewrite(text), text);
}

TEST(PlaylistVariables, OfTheQueryBecomePlainDefinitions) {
  const std::string tag = "#EXT-X-DEFINE:";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"QUERYPARAM=\"tok\"", "NAME=\"tok\",VALUE=\"a+b+c\""},
      {" QUERYPARAM = \"tok\" ,X=1", " NAME=\"tok\",VALUE=\"a+b+c\" ,X=1"},
      {"QUERYPARAM=\"q\"", "NAME=\"q\",VALUE=\"%22%0D1%22\""},
      {"QUERYPARAM=\"e\"", "NAME=\"e\",VALUE=\"\""},
      {"QUERYPARAM=\"n\"", "NAME=\"n\",VALUE=\"\""},
      {"QUERYPARAM=\"missing\"", "NAME=\"missing\",VALUE=\"\""},
      {"QUERYPARAM=\"url\"", "NAME=\"url\",VALUE=\"\""}};
  for (const auto& [text, expected] : cases) EXPECT_EQ(rewrite(tag + text), tag + expected);
  EXPECT_EQ(rewrite(tag + "QUERYPARAM=\"tok\"\r\n1.ts?t={$tok}\r\n"),
            tag + "NAME=\"tok\",VALUE=\"a+b+c\"\r\n" + sibling("1.ts?t=a+b+c") + "&sg_ext=.ts\r\n");
}

TEST(PlaylistVariables, OfALongQueryTakeNoQuadraticTime) {
  std::string url = kDirectory + "m.m3u8?";
  while (url.size() < 64'000) url += "a&";
  url += "b=1&b=2";
  const QueryParameters parameters(url);
  const std::clock_t began = std::clock();
  for (int i = 0; i < 50'000; ++i) ASSERT_EQ(parameters.find("b"), "1");
  EXPECT_EQ(parameters.find("c"), std::nullopt);
  EXPECT_LT(std::clock() - began, 5 * CLOCKS_PER_SEC);  // 0.1 s; quadratic time would be a minute
}

TEST(PlaylistVariables, AreImportedFromTheLink) {
  DocumentSetting setting = kSetting;
  setting.variables = link_text({{"IV", "https://cdn.example"}, {"x", "y"}});
  const std::string import = "#EXT-X-DEFINE:IMPORT=\"IV\"\n";
  EXPECT_EQ(rewrite("{$IV}/0\n" + import + "{$IV}/1\n{$x}\n", setting),
            sibling("%7B$IV%7D/0") + "\n" + import + link_to("https://cdn.example/1") + "\n" +
                sibling("%7B$x%7D") + "\n");
  setting.variables = "no+variables";
  EXPECT_EQ(rewrite(import + "{$IV}\n", setting), import + sibling("%7B$IV%7D") + "\n");
}

TEST(PlaylistVariables, GoToThePlaylistsOfAMultivariantPlaylist) {
  const std::string v = "&sg_v=" + link_text({{"b", "https://cdn.example/x"}}) + "&sg_ext=.m3u8";
  const std::string list = "#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n";
  EXPECT_EQ(rewrite(kBaseVariable + list + "# a\nno-variant.m3u8\n"),
            kBaseVariable + "#EXT-X-STREAM-INF:BANDWIDTH=1\n" + sibling("v.m3u8") + v + "\n# a\n" +
                sibling("no-variant.m3u8") + "\n");
  for (const std::string tag :
       {"#EXT-X-MEDIA:", "#EXT-X-I-FRAME-STREAM-INF:", "#EXT-X-IMAGE-STREAM-INF:"}) {
    EXPECT_EQ(rewrite(kBaseVariable + tag + "URI=\"v.m3u8\""),
              kBaseVariable + tag + "URI=\"" + sibling("v.m3u8") + v + "\"");
  }
  EXPECT_EQ(rewrite(list), "#EXT-X-STREAM-INF:BANDWIDTH=1\n" + sibling("v.m3u8") + "\n");
}

TEST(PlaylistVariables, WithAQuoteReachTheOtherPlaylistsWhole) {
  const std::string text = "#EXT-X-DEFINE:NAME=\"a\",VALUE=x\"y\n#EXT-X-STREAM-INF:BANDWIDTH=1\n";
  EXPECT_EQ(rewrite(text + "{$a}.m3u8\n"), text + sibling("x%22y.m3u8") + "&sg_v=" +
                                               link_text({{"a", "x%22y"}}) + "&sg_ext=.m3u8\n");
}

// A playlist may import any variable of the multivariant playlist, and Shaka also reads references
// before their definition.
TEST(PlaylistVariables, OfAMultivariantPlaylistHoldBeforeTheirDefinitionToo) {
  const std::string v = "&sg_v=" + link_text({{"b", "https://cdn.example/x"}}) + "&sg_ext=.m3u8";
  const std::string tag = "#EXT-X-STREAM-INF:BANDWIDTH=1\n";
  const std::string media = "#EXT-X-MEDIA:TYPE=AUDIO,URI=\"";
  EXPECT_EQ(rewrite("#EXTM3U\n" + media + "{$b}/a.m3u8\"\n" + tag + "v.m3u8\n" + kBaseVariable),
            "#EXTM3U\n" + media + link_to("https://cdn.example/x/a.m3u8") + v + "\"\n" + tag +
                sibling("v.m3u8") + v + "\n" + kBaseVariable);
  const std::string twice = "#EXT-X-DEFINE:NAME=\"b\",VALUE=\"c\"\n";
  EXPECT_EQ(rewrite(tag + "{$b}.m3u8\n" + twice + kBaseVariable),
            tag + sibling("c.m3u8") + "&sg_v=" + link_text({{"b", "c"}}) + "&sg_ext=.m3u8\n" +
                twice + kBaseVariable);
  const std::string query = "#EXT-X-DEFINE:QUERYPARAM=\"e\"\n";
  EXPECT_EQ(rewrite(tag + "v.m3u8\n" + query),
            tag + sibling("v.m3u8") + "&sg_v=" + link_text({{"e", ""}}) +
                "&sg_ext=.m3u8\n#EXT-X-DEFINE:NAME=\"e\",VALUE=\"\"\n");
}

TEST(PlaylistVariables, OfALongMultivariantPlaylistHoldFromTheirDefinitionOn) {
  const std::string variant = "#EXT-X-STREAM-INF:BANDWIDTH=1\n{$b}" + std::string(900, 'v') + "\n";
  const auto is_known = [&](size_t variants) {
    std::string text = "#EXTM3U\n";
    for (size_t i = 0; i < variants; ++i) text += variant;
    text += kBaseVariable + variant;
    PlaylistRewriter rewriter;
    const std::string whole = rewritten_in_two(rewriter, kSetting, text, text.size());
    for (size_t split = 0; split < text.size(); split += 97) {
      EXPECT_EQ(rewritten_in_two(rewriter, kSetting, text, split), whole) << split;
    }
    EXPECT_NE(whole.rfind(link_to("https://cdn.example/xvv")), whole.npos);
    return whole.find("live%2F%257B%24b") == whole.npos;
  };
  EXPECT_TRUE(is_known(15));
  EXPECT_FALSE(is_known(18));
}

TEST(PlaylistVariables, OfTheLinkGoToRenditionReportsOnly) {
  DocumentSetting setting = kSetting;
  setting.variables = "YQ";
  setting.same_origin_parameters = "&h_A=1&sg_c=Yw&sg_segments=proxy";
  EXPECT_EQ(rewrite("#EXT-X-RENDITION-REPORT:URI=\"../b/v.m3u8\",LAST-MSN=1\n", setting),
            "#EXT-X-RENDITION-REPORT:URI=\"" + link_to("https://up.example/b/v.m3u8") +
                "&h_A=1&sg_c=Yw&sg_v=YQ&sg_segments=proxy&sg_ext=.m3u8\",LAST-MSN=1\n");
  EXPECT_EQ(rewrite("a\n", setting), sibling("a") + "&h_A=1&sg_c=Yw&sg_segments=proxy\n");
}

TEST(PlaylistVariables, OfOneDocumentDoNotReachTheNext) {
  PlaylistRewriter rewriter;
  rewritten(rewriter, kSetting, kBaseVariable + "#EXT-X-STREAM-INF:BANDWIDTH=1\n");
  EXPECT_EQ(rewritten(rewriter, kSetting, "{$b}\n"), sibling("%7B$b%7D") + "\n");
}

TEST(PlaylistVariables, CannotTakeAllMemory) {
  std::string text = "#EXT-X-DEFINE:NAME=\"v0\",VALUE=\"" + std::string(1000, 'v') + "\"\n";
  for (int i = 1; i < 40; ++i) {
    const std::string last = "{$v" + std::to_string(i - 1) + "}";
    text += "#EXT-X-DEFINE:NAME=\"v" + std::to_string(i) + "\",VALUE=\"" + last + last + "\"\n";
  }
  std::string line;
  for (int i = 0; i < 1000; ++i) line += "{$v4}";
  PlaylistRewriter rewriter;
  const std::string out = rewritten_in_two(rewriter, kSetting, text + line + "\n", text.size());
  EXPECT_TRUE(rewriter.has_grown_too_far());
  EXPECT_LT(out.size(), size_t{300} * 1024);
}

TEST(Variables, HaveNamesOfLettersDigitsAndTwoMarks) {
  Variables variables;
  EXPECT_TRUE(variables.define("aZ09-_", "1"));
  for (const char* name : {"", "a b", "a\"", "a}", "\xc3\xa4"}) {
    EXPECT_FALSE(variables.define(name, "1")) << name;
  }
  EXPECT_EQ(variables.substitute("{$aZ09-_}{$aZ09-_"), "1{$aZ09-_");
}

TEST(Variables, ReferencesWithoutAnEndTakeNoQuadraticTime) {
  Variables variables;
  variables.define("a", "1");
  std::string text;
  while (text.size() < size_t{2} * 1024 * 1024) text += "{$";
  const std::clock_t began = std::clock();
  EXPECT_EQ(variables.substitute(text + "}{$a}"), text + "}1");
  EXPECT_LT(std::clock() - began, 5 * CLOCKS_PER_SEC);  // 0.1 to 1 s; quadratic time would be 12 s
}

TEST(Variables, AreFoundAmongManyInAnyOrder) {
  Variables variables;
  const auto name = [](int i) { return "v" + std::to_string(i * 37 % 256); };
  for (int i = 0; i < 256; ++i) EXPECT_TRUE(variables.define(name(i), std::to_string(i)));
  EXPECT_FALSE(variables.define("v7", "again"));
  EXPECT_FALSE(variables.define("v256", "one too many"));
  for (int i = 0; i < 256; ++i) EXPECT_EQ(*variables.find(name(i)), std::to_string(i));
  EXPECT_EQ(variables.find("v"), nullptr);
  EXPECT_EQ(variables.find("v999"), nullptr);
}

TEST(Variables, ComeBackFromALinkWithTheirValues) {
  Variables variables;
  variables.define("a", "x,y=z {$b}");
  variables.define("e", "");
  variables.define("long", std::string(5000, 'l'));
  variables.define("c", "\xc3\xa4");
  const Variables read = Variables::from_list(variables.to_list());
  EXPECT_EQ(*read.find("a"), "x,y=z {$b}");
  EXPECT_EQ(*read.find("e"), "");
  EXPECT_EQ(*read.find("c"), "\xc3\xa4");
  EXPECT_EQ(read.find("long"), nullptr);
  EXPECT_TRUE(Variables::from_list("%%%").empty());
}

// --- segments that players get from the upstream ---

TEST(DirectSegments, HaveTheUpstreamsUrls) {
  DocumentSetting setting = kSetting;
  setting.segments_are_direct = true;
  EXPECT_EQ(rewrite("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI=\"i n.mp4\"\n"
                    "#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n#EXTINF:4,\n../a.ts\n"
                    "#EXTINF:4,\nhttps://h/../b.ts\n#EXT-X-PART:URI=\"/p.mp4\",DURATION=1\n"
                    "#EXT-X-RENDITION-REPORT:URI=\"v.m3u8\"\n" +
                        kBaseVariable + "{$b}/c.ts\n",
                    setting),
            "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI=\"" + kDirectory +
                "i%20n.mp4\"\n#EXT-X-KEY:METHOD=AES-128,URI=\"" + sibling("k") +
                "\"\n#EXTINF:4,\nhttps://up.example/a.ts\n#EXTINF:4,\nhttps://h/../b.ts\n"
                "#EXT-X-PART:URI=\"https://up.example/p.mp4\",DURATION=1\n"
                "#EXT-X-RENDITION-REPORT:URI=\"" +
                sibling("v.m3u8") + "\"\n" + kBaseVariable + "{$b}/c.ts\n");
}

// A slice of work must not have many of them.
TEST(DirectSegments, OfALongPathAreCostly) {
  DocumentSetting setting = setting_for("https://up.example/" + std::string(5000, 'p') + "/m.m3u8");
  setting.segments_are_direct = true;
  PlaylistRewriter rewriter;
  BlockBuffer out;
  rewriter.begin(setting);
  rewriter.write("#EXTM3U\n#EXT-X-TARGETDURATION:4\n../1.ts\n../2.ts\n", out, 1 << 20);
  EXPECT_GE(rewriter.costly_bytes(), size_t{2} * 5000);
}

TEST(DirectSegments, AreNotTheChildrenOfOtherPlaylists) {
  DocumentSetting setting = kSetting;
  setting.segments_are_direct = true;
  EXPECT_EQ(rewrite("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n", setting),
            "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n" + sibling("v.m3u8") + "\n");
  EXPECT_EQ(rewrite("#EXTM3U\n#EXTINF:-1,News\nhttp://h/1\n", setting),
            "#EXTM3U\n#EXTINF:-1,News\n" + link_to("http://h/1") + "\n");
}

}  // namespace
}  // namespace streamgate
