#include "worker/documents/hls/playlist_rewriter.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "common/url.h"
#include "tests/unit/playlist_rewriting.h"
#include "worker/loop/event.h"

namespace streamgate {
namespace {

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();

using namespace std::string_literals;

const DocumentSetting kSetting = setting_for("https://up.example/live/a/index.m3u8?tok=x/y");

// The child URL of a file in the base's directory.
std::string sibling(std::string_view name) {
  return link_to("https://up.example/live/a/" + std::string(name));
}

std::string rewrite_in_pieces(const DocumentSetting& setting, std::string_view text, size_t size) {
  BlockBuffer out;
  PlaylistRewriter rewriter;
  rewriter.begin(setting);
  for (size_t at = 0; at < text.size(); at += size)
    rewriter.write(text.substr(at, size), out, kNoLimit);
  rewriter.finish(out);
  return std::string(out.text());
}

// Also checks that the result does not depend on where the pieces end.
std::string rewrite(std::string_view text, const DocumentSetting& setting = kSetting) {
  PlaylistRewriter rewriter;
  std::string whole = rewritten(rewriter, setting, text);
  EXPECT_EQ(rewrite_in_pieces(setting, text, 1), whole);
  EXPECT_EQ(rewrite_in_pieces(setting, text, 7), whole);
  return whole;
}

using Cases = std::vector<std::pair<std::string, std::string>>;

void expect_rewritten(const Cases& cases) {
  for (const auto& [text, expected] : cases) EXPECT_EQ(rewrite(text), expected) << text;
}

void expect_untouched(const std::vector<std::string>& texts) {
  for (const std::string& text : texts) EXPECT_EQ(rewrite(text), text);
}

TEST(PlaylistRewriter, RewritesEveryUriLine) {
  EXPECT_EQ(rewrite("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n\n# comment\nlow.m3u8\n"),
            "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n\n# comment\n" + sibling("low.m3u8") + "\n");
  expect_rewritten({{"#EXTINF:4,\na.ts\n", "#EXTINF:4,\n" + sibling("a.ts") + "\n"},
                    {"/root.ts\n", link_to("https://up.example/root.ts") + "\n"},
                    {"http://h/plain.mp3\n", link_to("http://h/plain.mp3") + "\n"},
                    {"#EXT-X-ENDLIST\nafter.ts\n", "#EXT-X-ENDLIST\n" + sibling("after.ts") + "\n"},
                    {"#EXT-X-GAP\n#EXT-X-BYTERANGE:1@0\nb.ts\n",
                     "#EXT-X-GAP\n#EXT-X-BYTERANGE:1@0\n" + sibling("b.ts") + "\n"}});
}

TEST(PlaylistRewriter, RewritesTheUriAttributeOfEveryTagThatHasOne) {
  for (const char* tag :
       {"EXT-X-MAP", "EXT-X-PART", "EXT-X-PRELOAD-HINT", "EXT-X-RENDITION-REPORT", "EXT-X-MEDIA",
        "EXT-X-I-FRAME-STREAM-INF", "EXT-X-IMAGE-STREAM-INF", "EXT-X-SESSION-DATA",
        "EXT-X-STREAM-INF", "EXT-X-FOO", "EXT-X-KEY", "EXT-X-SESSION-KEY"}) {
    const std::string head = "#" + std::string(tag) + ":";
    EXPECT_EQ(rewrite(head + "URI=\"u.bin\",X=1\n"),
              head + "URI=\"" + sibling("u.bin") + "\",X=1\n");
    EXPECT_EQ(rewrite(head + "X=\"a,URI=b\",URI=\"u.bin\""),
              head + "X=\"a,URI=b\",URI=\"" + sibling("u.bin") + "\"");
    expect_untouched({head + "X=1\n", head + "URI=\"\"\n", head + "uri=\"u.bin\"\n",
                      head + "URI=\"data:,x\"\n", head + "URI=\"\n", head + "\n"});
    expect_rewritten(
        {{head + "X=1,URI=\"open,a=b \n", head + "X=1,URI=\"" + sibling("open,a=b") + " \n"}});
  }
}

TEST(PlaylistRewriter, RewritesKeysOnlyIfAPlayerFetchesThem) {
  const std::string key = sibling("k");
  for (const std::string tag : {"#EXT-X-KEY:", "#EXT-X-SESSION-KEY:"}) {
    expect_rewritten({{tag + "METHOD=AES-128,URI=\"k\",KEYFORMAT=\"identity\"",
                       tag + "METHOD=AES-128,URI=\"" + key + "\",KEYFORMAT=\"identity\""},
                      {tag + "URI=\"k\",METHOD=SAMPLE-AES,IV=0x1",
                       tag + "URI=\"" + key + "\",METHOD=SAMPLE-AES,IV=0x1"},
                      {tag + "METHOD=AES-128,URI=\"HTTPS://K.example/k\"",
                       tag + "METHOD=AES-128,URI=\"" + link_to("HTTPS://K.example/k") + "\""}});
    expect_untouched({tag + "METHOD=NONE", tag + "METHOD=NONE,URI=\"k\"",
                      tag + "URI=\"k\",METHOD=NONE", tag + "METHOD=SAMPLE-AES,URI=\"skd://asset\"",
                      tag + "METHOD=AES-128,URI=\"urn:uuid:1\"",
                      tag + "URI=\"https://fps/lic\",KEYFORMAT=\"com.apple.streamingkeydelivery\"",
                      tag + "KEYFORMAT=\"urn:uuid:edef8ba9\",METHOD=SAMPLE-AES,URI=\"data:text/"
                            "plain;base64,A,B=\""});
  }
}

// hls.js and Shaka request the key of a method for whole segments with any KEYFORMAT.
TEST(PlaylistRewriter, KeysOfWholeSegmentsAreFetchedForAnyFormat) {
  const std::string drm = "KEYFORMAT=\"com.apple.streamingkeydelivery\",";
  for (const std::string tag : {"#EXT-X-KEY:", "#EXT-X-SESSION-KEY:"}) {
    for (const std::string method : {"AES-128", "AES-256", "AES-256-CTR", "AES-256-GCM"}) {
      const std::string begin = tag + drm + "METHOD=" + method + ",URI=\"";
      expect_rewritten(
          {{begin + "https://k.example/k\"", begin + link_to("https://k.example/k") + "\""},
           {begin + "k\",IV=0x1", begin + sibling("k") + "\",IV=0x1"}});
      expect_untouched({begin + "skd://asset\"", begin + "data:text/plain;base64,AA==\""});
    }
    for (const std::string method : {"SAMPLE-AES", "SAMPLE-AES-CTR", "SAMPLE-AES-CENC", "NONE"}) {
      expect_untouched({tag + "URI=\"https://k.example/k\"," + drm + "METHOD=" + method});
    }
  }
}

TEST(PlaylistRewriter, RewritesInterstitialsAndNamesTheKindOfAssetLists) {
  const std::string tag = "#EXT-X-DATERANGE:";
  const std::string ours = sibling("ad.m3u8");
  const std::string list = sibling("a.json?x=1,2") + "&sg_k=assets";
  const std::string preload = ",CLASS=\"com.apple.hls.preload\"";
  expect_rewritten(
      {{tag + "ID=\"1\",CLASS=\"com.apple.hls.interstitial\",X-ASSET-URI=\"ad.m3u8\",D=1",
        tag + "ID=\"1\",CLASS=\"com.apple.hls.interstitial\",X-ASSET-URI=\"" + ours + "\",D=1"},
       {tag + "X-URI=\"ad.m3u8\"" + preload, tag + "X-URI=\"" + ours + "\"" + preload},
       {tag + "X-URI=\"a.json?x=1,2\"" + preload, tag + "X-URI=\"" + list + "\"" + preload},
       {tag + "ID=\"1\",X-URI=\"ad.m3u8\"", tag + "ID=\"1\",X-URI=\"" + ours + "\""},
       {tag + "ID=\"1\"X-ASSET-URI=\"ad.m3u8\"", tag + "ID=\"1\"X-ASSET-URI=\"" + ours + "\""},
       {tag + "ID=\"1\",X-ASSET-LIST=\"a.json?x=1,2\",D=1\n",
        tag + "ID=\"1\",X-ASSET-LIST=\"" + list + "\",D=1\n"},
       {tag + "X-ASSET-LIST=\"/l\", ID=\"1\"\n",
        tag + "X-ASSET-LIST=\"" + link_to("https://up.example/l") + "&sg_k=assets\", ID=\"1\"\n"}});
  expect_untouched({tag + "ID=\"s\",SCTE35-OUT=0xFC30,X-AD-URL=\"https://beacon/y\"",
                    tag + "ID=\"s\",CLASS=\"com.example\",X-URI=\"u\",X-COM-A-BEACON=\"https://b\"",
                    tag + "ID=\"s\",X-ASSET-LIST=\"\",X-AD-CREATIVE-SIGNALING=\"eyJ1cmwi\""});
}

TEST(PlaylistRewriter, RewritesTheWholeValueOfPrefetchTags) {
  expect_rewritten({{"#EXT-X-PREFETCH:rel/s.ts\n", "#EXT-X-PREFETCH:" + sibling("rel/s.ts") + "\n"},
                    {"#EXT-X-TWITCH-PREFETCH: https://v.example/2.ts \r",
                     "#EXT-X-TWITCH-PREFETCH: " + link_to("https://v.example/2.ts") + " \r"}});
  expect_untouched({"#EXT-X-PREFETCH:\n", "#EXT-X-PREFETCH\n", "#EXT-X-PREFETCH:rtmp://h/x\n"});
}

TEST(PlaylistRewriter, NamesTheKindOfSteeringManifests) {
  const std::string tag = "#EXT-X-CONTENT-STEERING:";
  const std::string ours = link_to("https://up.example/s") + "&sg_k=steering";
  expect_rewritten(
      {{tag + "SERVER-URI=\"/s\",PATHWAY-ID=\"A\"\r\n",
        tag + "SERVER-URI=\"" + ours + "\",PATHWAY-ID=\"A\"\r\n"},
       {tag + "PATHWAY-ID=\"A\", SERVER-URI=\"//h/s?a\"",
        tag + "PATHWAY-ID=\"A\", SERVER-URI=\"" + link_to("https://h/s?a") + "&sg_k=steering\""}});
  expect_untouched({tag + "PATHWAY-ID=\"A\"\n", tag + "URI=\"/s\"\n"});
}

TEST(PlaylistRewriter, RewritesDocumentsThatStandInThePlaylist) {
  std::string json = "data:application/json,";
  percent_encode("{\"ASSETS\":[{\"URI\":\"" + link_to("https://ad.example/1") + "\"}]}", json);
  const std::string tag = "#EXT-X-DATERANGE:ID=\"1\",X-ASSET-LIST=\"";
  const std::string plain = "%7B%22ASSETS%22:[%7b%22URI%22:%22https://ad.example/1%22}]}";
  const std::string coded = "eyJBU1NFVFMiOlt7IlVSSSI6Imh0dHBzOi8vYWQuZXhhbXBsZS8xIn1dfQ==";
  expect_rewritten({{tag + "data:application/json," + plain + "\"\n", tag + json + "\"\n"},
                    {tag + "data:application/json;base64," + coded + "\"", tag + json + "\""}});
  expect_untouched(
      {tag + "data:application/json,{\"\n", tag + "data:;base64,%%\"", tag + "data:\""});
  EXPECT_EQ(rewrite("#EXT-X-CONTENT-STEERING:SERVER-URI=\"data:,{%22TTL%22:1}\""),
            "#EXT-X-CONTENT-STEERING:SERVER-URI=\"data:,%7B%22TTL%22%3A1%7D\"");
}

TEST(PlaylistRewriter, NamesTheKindOfChapters) {
  const std::string tag = "#EXT-X-SESSION-DATA:DATA-ID=\"com.apple.hls.chapters\",";
  const std::string uri = "URI=\"" + sibling("c.json");
  expect_rewritten(
      {{tag + "URI=\"c.json\"", tag + uri + "&sg_k=chapters\""},
       {tag + "FORMAT=JSON,URI=\"c.json\"", tag + "FORMAT=JSON," + uri + "&sg_k=chapters\""},
       {tag + "FORMAT=RAW,URI=\"c.json\"", tag + "FORMAT=RAW," + uri + "\""},
       {"#EXT-X-SESSION-DATA:DATA-ID=\"x\",URI=\"c.json\"",
        "#EXT-X-SESSION-DATA:DATA-ID=\"x\"," + uri + "\""}});
}

TEST(PlaylistRewriter, RewritesUriSuffixesOfUnknownTags) {
  expect_rewritten({{"#EXT-X-STREAM-INF:B=1,PROGRESSIVE-URI=\"http://h/p.mp4\"",
                     "#EXT-X-STREAM-INF:B=1,PROGRESSIVE-URI=\"" + link_to("http://h/p.mp4") + "\""},
                    {"#EXT-X-KEYS:A-URI=\"u\",URI=\"v\"",
                     "#EXT-X-KEYS:A-URI=\"" + sibling("u") + "\",URI=\"" + sibling("v") + "\""}});
  expect_untouched({"#EXT-X-MAP:A-URI=\"u\"", "#EXT-X-KEYS:XURI=\"u\"", "#EXT-X-MAP URI=\"x\"",
                    "#EXT-X-MAP URI:URI=\"x\""});
}

TEST(PlaylistRewriter, LeavesFreeTextAlone) {
  expect_untouched(
      {"#EXTINF:10,http://title/ URI=\"t\"\n", "#EXTM3U x-tvg-url=\"http://e/x\",URI=\"x\"\n",
       "#EXT-X-DEFINE:NAME=\"h\",VALUE=\"https://cdn\"\n", "#EXT-X-CUE-OUT:URI=\"x\"\n",
       "#EXT-X-CUE:TYPE=\"SpliceOut\",URI=\"x\"\n", "#EXT-OATCLS-SCTE35:/DAl+/==URI=x\n",
       "#EXT-X-SCTE35:CUE=\"/DAlAA==\",URI=\"x\"\n", "#EXT-X-FAXS-CM:URI=\"a\"\n",
       "#EXT-X-ASSET:CAID=1,URI=\"x\"\n", "#EXTVLCOPT:http-referrer=https://r/\n",
       "#KODIPROP:x=https://lic/\n", "##EXT-X-KEY:URI=\"k\"\n", "# EXT-X-MAP:URI=\"m\"\n",
       "#ext-x-map:URI=\"m\"\n", "#http://x/y.ts\n", "#\n", "#EXT\n",
       "#EXT-X-MEDIA:TYPE=AUDIO,NAME=\"a,URI=x\",CODECS=\"a,b\"\n",
       "#EXT-X-SESSION-DATA:DATA-ID=\"a\",VALUE=\"see URI=x, http://h/\"\n"});
}

TEST(PlaylistRewriter, LeavesOtherSchemesAlone) {
  expect_untouched({"data:video/mp2t;base64,AAAA\n", "skd://x\n", "rtmp://h/x\n", "v:1.ts\n",
                    "file:///etc/passwd\n", "acestream://1\n", "blob:https://h/u\n", "h:x\n",
                    "httpx://h/a\n", "MYAPP:/x\n"});
  expect_rewritten({{"2024-01-01T10:00:00.ts", sibling("2024-01-01T10:00:00.ts")},
                    {"seg_1:2.ts", sibling("seg_1:2.ts")},
                    {"a/b:c.ts", sibling("a/b:c.ts")},
                    {"HtTp://H/a.ts", link_to("HtTp://H/a.ts")}});
}

TEST(PlaylistRewriter, LeavesUrlsWithoutAHostAlone) {
  expect_untouched({"//#frag\n", "http://\n", "https://?x\n", "http:\n", "//\n"});
}

TEST(PlaylistRewriter, TakesReferencesToUndefinedVariablesForText) {
  expect_rewritten({{"{$base}/s.ts", sibling("%7B$base%7D/s.ts")},
                    {"https://h/{$x}", link_to("https://h/%7B$x%7D")},
                    {"$x{y}.ts", sibling("$x%7By%7D.ts")}});
}

TEST(PlaylistRewriter, ResolvesBeforeItEncodes) {
  expect_rewritten(
      {{"my seg.ts", sibling("my%20seg.ts")},
       {"a%2Fb%20c.ts", sibling("a%2Fb%20c.ts")},
       {"100%.ts", sibling("100%.ts")},
       {"a+b,c.ts?d=e&f=\"", sibling("a+b,c.ts?d=e&f=%22") + "&sg_ext=.ts"},
       {"../up.ts", link_to("https://up.example/live/up.ts")},
       {"../../../../up.ts", link_to("https://up.example/up.ts")},
       {"x/../y/./z.ts", sibling("y/z.ts")},
       {".//d.ts", sibling("/d.ts")},
       {"a//b", sibling("a//b")},
       {".hidden", sibling(".hidden")},
       {"a/.b", sibling("a/.b")},
       {"?only", link_to("https://up.example/live/a/index.m3u8?only") + "&sg_ext=.m3u8"},
       {"//cdn/x.ts", link_to("https://cdn/x.ts")},
       {"https://h/a/../b.ts", link_to("https://h/b.ts")},
       {"https://u:p@[2001:db8::1]:8/a",
        link_to("https://[2001:db8::1]:8/a") + "&h_Authorization=Basic%20dTpw"},
       {"///cdn/x.ts", link_to("https://cdn/x.ts")},
       {"http:rel.ts", link_to("http://rel.ts")},
       {"https:rel.ts", sibling("rel.ts")},
       {"https:/\\\\h\\x?\\", link_to("https://h/x?%5C")},
       {"https://h", link_to("https://h")},
       {"x.ts#t=1", sibling("x.ts#t=1") + "&sg_ext=.ts"},
       {"\xc3\xaf\xff.ts", sibling("%C3%AF%FF.ts")},
       {"a\\b", sibling("a/b")},
       {"http://直播.example:8/a", link_to("http://xn--z6ut02b.example:8/a")}});
  EXPECT_EQ(rewrite("a\0b.ts"s), sibling("a%00b.ts"));
  EXPECT_EQ(rewrite("s.ts", setting_for("http://h")), link_to("http://h/s.ts"));
  EXPECT_EQ(rewrite("/s.ts", setting_for("http://h:81?x/y")), link_to("http://h:81/s.ts"));
  EXPECT_EQ(rewrite("g", setting_for("http://h/a/../b/p?q")), link_to("http://h/b/g"));
}

// The encoder reads 16 bytes at a time and must find a dot segment across that boundary too.
TEST(PlaylistRewriter, FindsADotSegmentAtEveryOffset) {
  for (size_t size = 1; size < 40; ++size) {
    const std::string name(size, 'n');
    EXPECT_EQ(rewrite(name + "/../b.ts"), sibling("b.ts")) << size;
    EXPECT_EQ(rewrite("b/" + name + "/."), sibling("b/" + name + "/")) << size;
    EXPECT_EQ(rewrite("b/" + name + "/"), sibling("b/" + name + "/")) << size;
  }
}

TEST(PlaylistRewriter, KeepsEveryLineEndAndBlank) {
  const std::string a = sibling("a.ts");
  expect_rewritten({{"#EXTM3U\r\na.ts\r\n", "#EXTM3U\r\n" + a + "\r\n"},
                    {"#EXTM3U\ra.ts\r", "#EXTM3U\r" + a + "\r"},
                    {"#X\r\n\r\na.ts\n\ra.ts", "#X\r\n\r\n" + a + "\n\r" + a},
                    {" \ta.ts\t \n \n", " \t" + a + "\t \n \n"},
                    {"  #EXT-X-MAP:URI=\"a.ts\" \n", "  #EXT-X-MAP:URI=\"" + a + "\" \n"},
                    {"a.ts", a}});
  expect_untouched({"", "\n", "\r", "\r\n\r\n", " ", "#EXTM3U", "\t\r\n"});
  EXPECT_EQ(rewrite("a\x0b"
                    "b\x0c.ts\n"),
            sibling("a%0Bb%0C.ts") + "\n");
  EXPECT_EQ(rewrite("a\xc2\x85"
                    "b\n"),
            sibling("a%C2%85b") + "\n");
}

TEST(PlaylistRewriter, RemovesOneByteOrderMark) {
  expect_rewritten({{"\xEF\xBB\xBF#EXTM3U\na.ts\n", "#EXTM3U\n" + sibling("a.ts") + "\n"},
                    {"\xEF\xBB\xBF"
                     "a.ts",
                     sibling("a.ts")},
                    {"\xEF\xBB\xBF", ""},
                    {"\xEF\xBB\xBF\r\n", "\r\n"},
                    {"\n\xEF\xBB\xBF#X", "\n#X"},
                    {"#X\n\xEF\xBB\xBF#X", "#X\n" + sibling("%EF%BB%BF#X")}});
}

TEST(PlaylistRewriter, ReadsAttributesOfRealPlaylists) {
  const std::string tag = "#EXT-X-MAP:";
  expect_rewritten({{tag + "A=1, URI=\"u\" ,B=2", tag + "A=1, URI=\"" + sibling("u") + "\" ,B=2"},
                    {tag + "URI = \"u\"", tag + "URI = \"" + sibling("u") + "\""},
                    {tag + "URI=u,B=2", tag + "URI=" + sibling("u") + ",B=2"},
                    {tag + "B=2,URI=u \n", tag + "B=2,URI=" + sibling("u") + " \n"},
                    {tag + "URI=\"a,b\"", tag + "URI=\"" + sibling("a,b") + "\""},
                    {tag + "URI=\"a\\\"b\",URI=\"c\"",
                     tag + "URI=\"" + sibling("a/") + "\"b\",URI=\"" + sibling("c") + "\""},
                    {tag + "URI=\"a\",URI=\"b\"",
                     tag + "URI=\"" + sibling("a") + "\",URI=\"" + sibling("b") + "\""},
                    {tag + "URI=\" a \"", tag + "URI=\" " + sibling("a") + " \""},
                    {tag + ",,X,URI=\"a\"", tag + ",,X,URI=\"" + sibling("a") + "\""}});
  expect_untouched({tag + "X=\"open,URI=\"", tag + "X=\"open,URI=u", tag + "URI",
                    tag + "URI=", tag + "=\"x\"", tag + ",", "#EXT-X-MAP:URI=\"  \"\n"});
}

TEST(PlaylistRewriter, AppendsTheParametersAndThenTheExtension) {
  DocumentSetting setting = kSetting;
  setting.same_origin_parameters = "&referer=r&h_Cookie=c";
  setting.other_origin_parameters = "&referer=r";
  const std::string own = "&referer=r&h_Cookie=c";
  const std::string other = "&referer=r";
  const Cases cases = {
      {"a.ts", sibling("a.ts") + own + "&sg_ext=.ts"},
      {"a.TS?x", sibling("a.TS?x") + own + "&sg_ext=.TS"},
      {"a.bin", sibling("a.bin") + own},
      {"noext", sibling("noext") + own},
      {"d.ts/noext", sibling("d.ts/noext") + own},
      {"/b.m4s", link_to("https://up.example/b.m4s") + own + "&sg_ext=.m4s"},
      {"../c.mp4", link_to("https://up.example/live/c.mp4") + own + "&sg_ext=.mp4"},
      {"https://up.example/x", link_to("https://up.example/x") + own},
      {"https://UP.example:443/x", link_to("https://UP.example:443/x") + own},
      {"http://up.example/x", link_to("http://up.example/x") + other},
      {"https://up.example:8443/x", link_to("https://up.example:8443/x") + other},
      {"https://up.example.evil/x", link_to("https://up.example.evil/x") + other},
      {"https://h.ts", link_to("https://h.ts") + other},
      {"//cdn.example/y.vtt", link_to("https://cdn.example/y.vtt") + other + "&sg_ext=.vtt"},
      {"#EXT-X-RENDITION-REPORT:URI=\"../1M/p.m3u8\"",
       "#EXT-X-RENDITION-REPORT:URI=\"" + link_to("https://up.example/live/1M/p.m3u8") + own +
           "&sg_ext=.m3u8\""}};
  for (const auto& [text, expected] : cases) EXPECT_EQ(rewrite(text, setting), expected) << text;
}

TEST(PlaylistRewriter, AddsNoExtensionIfTheUrlEndsInIt) {
  expect_rewritten({{"a.ts?f=b.ts", sibling("a.ts?f=b.ts")},
                    {"a.ts?f=b", sibling("a.ts?f=b") + "&sg_ext=.ts"},
                    {"a.key?x", sibling("a.key?x")},
                    {"https://h.ts?x", link_to("https://h.ts?x")},
                    {"https://h?/a.ts", link_to("https://h?/a.ts")}});
}

TEST(PlaylistRewriter, NamedChildUrlsHaveTheFileNameInThePath) {
  DocumentSetting setting = kSetting;
  setting.child_urls = HlsConfig::ChildUrls::named;
  const std::string route = "https://proxy.example/stream";
  const auto named = [&route](const std::string& name, std::string_view absolute) {
    std::string out = route + name + "?url=";
    percent_encode(absolute, out);
    return out;
  };
  const std::string directory = "https://up.example/live/a/";
  const Cases cases = {
      {"a.ts", named("/a.ts", directory + "a.ts")},
      {"d/a b.ts?q=/x", named("/a%2520b.ts", directory + "d/a%20b.ts?q=/x") + "&sg_ext=.ts"},
      {"d/a.ts?q=/x", named("/a.ts", directory + "d/a.ts?q=/x") + "&sg_ext=.ts"},
      {"d/", named("", directory + "d/")},
      {"..", named("", "https://up.example/live/")},
      {"https://h.ts", named("", "https://h.ts")},
      {"https://h/x.ts", named("/x.ts", "https://h/x.ts")},
      {std::string(200, 'n'), named("", directory + std::string(200, 'n'))}};
  for (const auto& [text, expected] : cases) EXPECT_EQ(rewrite(text, setting), expected) << text;
}

// Text that references share is encoded once. Each must be rewritten as if it were alone.
TEST(PlaylistRewriter, ChildUrlDoesNotDependOnReferencesBefore) {
  const std::vector<std::string> directories = {"d/",
                                                "d/e/",
                                                "/",
                                                "/d/",
                                                "//h/d/",
                                                "http://h/",
                                                "http://h/d/",
                                                "https://up.example/live/a/",
                                                "https://proxy.example/",
                                                "https://proxy.example/stream/",
                                                "./d/",
                                                "a:b/",
                                                "d?q=/"};
  const std::vector<std::string> names = {"x.ts",
                                          "x.ts?q=1",
                                          "x.TS",
                                          "x.ts?q=.ts",
                                          ".",
                                          "..",
                                          ".hidden",
                                          "../x.ts",
                                          "./x.ts",
                                          "e/x.ts",
                                          "e/../x.ts",
                                          "e/.x",
                                          "?q",
                                          "#f",
                                          "x:y",
                                          "a b.ts",
                                          "{$v}.ts",
                                          "",
                                          "/x.ts",
                                          "stream?url=y",
                                          "stream/x.ts?url=y",
                                          "streams",
                                          "a/b/c.m4s#t",
                                          "very-long-name-of-a-segment-0123456789.mp4?t=1"};
  for (const HlsConfig::ChildUrls style :
       {HlsConfig::ChildUrls::query, HlsConfig::ChildUrls::named}) {
    DocumentSetting setting = kSetting;
    setting.child_urls = style;
    setting.same_origin_parameters = "&h_Cookie=a";
    const auto alone = [&](const std::string& line) {
      return rewrite_in_pieces(setting, line, line.size());
    };
    for (const std::string& directory : directories) {
      const std::string one = directory + "one.ts\n";
      for (const std::string& name : names) {
        const std::string line = directory + name + "\n";
        EXPECT_EQ(alone(one + one + line + one), alone(one) + alone(one) + alone(line) + alone(one))
            << line;
      }
    }
  }
}

TEST(PlaylistRewriter, WritesPathsIfThereIsNoProxyOrigin) {
  DocumentSetting setting = kSetting;
  setting.proxy_origin = "";
  setting.route_path = "/api/proxy/stream";
  EXPECT_EQ(rewrite("/stream?x", setting),
            "/api/proxy/stream?url=https%3A%2F%2Fup.example%2Fstream%3Fx");
}

TEST(PlaylistRewriter, DoesNotNestItsOwnUrls) {
  expect_untouched({link_to("http://h/a") + "\n", "https://proxy.example/stream/x.ts?url=y\n"});
  EXPECT_EQ(rewrite("https://proxy.example/streams?a"), link_to("https://proxy.example/streams?a"));
}

TEST(PlaylistRewriter, SameUpstreamUrlHasTheSameTextEverywhere) {
  const std::string out = rewrite(
      "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"p.mp4\"\n"
      "#EXT-X-PART:URI=\"../a/p.mp4\"\nhttps://up.example/live/a/p.mp4\n");
  const std::string url = sibling("p.mp4");
  EXPECT_EQ(out, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"" + url + "\"\n#EXT-X-PART:URI=\"" + url +
                     "\"\n" + url + "\n");
}

TEST(PlaylistRewriter, PassesAndCountsLinesThatAreTooLong) {
  DocumentSetting setting = kSetting;
  setting.longest_line = 10;
  const std::string text = "0123456789\r\n01234567890\r\n\n#EXTINF:1,23\nab\n#EXT-X-MAP:URI=\"x\"";
  const std::string expected = sibling("0123456789") + "\r\n01234567890\r\n\n#EXTINF:1,23\n" +
                               sibling("ab") + "\n#EXT-X-MAP:URI=\"x\"";
  EXPECT_EQ(rewrite(text, setting), expected);
  for (size_t split = 0; split <= text.size(); ++split) {
    BlockBuffer out;
    PlaylistRewriter rewriter;
    rewriter.begin(setting);
    rewriter.write(std::string_view(text).substr(0, split), out, kNoLimit);
    rewriter.write(std::string_view(text).substr(split), out, kNoLimit);
    rewriter.finish(out);
    EXPECT_EQ(rewriter.lines_too_long(), 3u) << split;
  }
}

TEST(PlaylistRewriter, RewritesAPlaylistOfManyBlocks) {
  std::string text = "#EXTM3U\n";
  std::string expected = text;
  for (int i = 0; i < 5000; ++i) {
    const std::string name = "seg" + std::to_string(i) + ".ts";
    text += "#EXTINF:6.006,\n" + name + "\n";
    expected += "#EXTINF:6.006,\n" + sibling(name) + "\n";
  }
  text += "#" + std::string(300000, 'c') + "\n" + std::string(200000, '"') + "\n";
  std::string quotes;
  for (int i = 0; i < 200000; ++i) quotes += "%22";
  expected += "#" + std::string(300000, 'c') + "\n" + sibling(quotes) + "\n";
  EXPECT_EQ(rewrite_in_pieces(kSetting, text, text.size()), expected);
  EXPECT_EQ(rewrite_in_pieces(kSetting, text, 4096), expected);
  EXPECT_EQ(rewrite_in_pieces(kSetting, text, 100), expected);
}

}  // namespace
}  // namespace streamgate
