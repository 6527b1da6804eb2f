#include "worker/documents/json/json_rewriter.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "tests/unit/playlist_rewriting.h"
#include "worker/links/path_link.h"

namespace streamgate {
namespace {

const DocumentSetting kSetting = setting_for("https://up.example/a/list.json?q=1");

std::string rewrite(DocumentKind kind, std::string_view text) {
  JsonRewriter rewriter(kind);
  std::string out = rewritten(rewriter, kSetting, text);
  if (rewriter.problem() != nullptr) return "problem: " + std::string(rewriter.problem()) + out;
  return out;
}

std::string rewrite_list(std::string_view text) { return rewrite(DocumentKind::asset_list, text); }

std::string link(const std::string& name) { return link_to("https://up.example/a/" + name); }

TEST(JsonRewriter, RewritesTheUrisOfAssets) {
  EXPECT_EQ(rewrite_list(R"( { "ASSETS" : [ {"URI":"ad1.m3u8","DURATION":15.50},
                             {"DURATION":1e2,"URI":"https:\/\/h\/2?a=1&b=2"} ] , "X" : null } )"),
            R"({"ASSETS":[{"URI":")" + link("ad1.m3u8") +
                R"(","DURATION":15.50},{"DURATION":1e2,)" + R"("URI":")" +
                link_to("https://h/2?a=1&b=2") + R"("}],"X":null})");
}

TEST(JsonRewriter, CopiesEverythingElse) {
  for (
      const char* text :
      {R"({"URI":"a","ASSETS":{"URI":"a"},"assets":[{"URI":"a"}],"SKIP-CONTROL":{"OFFSET":-5}})",
       R"({"ASSETS":[{"X-AD-CREATIVE-SIGNALING":{"payload":[{"URI":"https:\\b"}],"v":2}}]})",
       R"({"ASSETS":[[{"URI":"a"}],"URI",{"URI":["a"]},{"URI":{"URI":"a"}},{"URI":7},{"URI":""}]})",
       R"({"ASSETS":[{"URI":"data:,x"},{"URI":"skd://k"}]})",
       R"({"a":[true,false,null,0,-1,18446744073709551615,0.1,1E+9,-0,1e999,{},[],"\u0001\"\\é😀"]})",
       R"("text")", "[]", "{}"}) {
    EXPECT_EQ(rewrite_list(text), text);
  }
}

TEST(JsonRewriter, RewritesEachOfRepeatedMembers) {
  EXPECT_EQ(rewrite_list(R"({"ASSETS":[{"URI":"a","\u0055RI":"b"}],"ASSETS":[{"URI":"c"}]})"),
            R"({"ASSETS":[{"URI":")" + link("a") + R"(","URI":")" + link("b") +
                R"("}],"ASSETS":[{"URI":")" + link("c") + R"("}]})");
}

TEST(JsonRewriter, RewritesReloadUriAndLeavesOutClonesOfSteeringManifests) {
  const auto steer = [](std::string_view text) { return rewrite(DocumentKind::steering, text); };
  const std::string ours = link("next?x=1") + "&sg_k=steering";
  EXPECT_EQ(
      steer(R"({"VERSION":1,"TTL":300,"RELOAD-URI":"next?x=1","PATHWAY-PRIORITY":["A","B"]})"),
      R"({"VERSION":1,"TTL":300,"RELOAD-URI":")" + ours + R"(","PATHWAY-PRIORITY":["A","B"]})");
  EXPECT_EQ(steer(R"({"PATHWAY-CLONES":[{"ID":"C","URI-REPLACEMENT":{"HOST":"h"}}],"TTL":1})"),
            R"({"TTL":1})");
  EXPECT_EQ(steer(R"({"TTL":1,"PATHWAY-CLONES":null,"PATHWAY-CLONES":[[1],{"a":{}}],"V":1})"),
            R"({"TTL":1,"V":1})");
  EXPECT_EQ(steer(R"({"a":{"PATHWAY-CLONES":1,"RELOAD-URI":"n"}})"),
            R"({"a":{"PATHWAY-CLONES":1,"RELOAD-URI":"n"}})");
  EXPECT_EQ(steer(R"({"PATHWAY-CLONES":"x"})"), "{}");
}

// Each player resolves a relative one against another URL.
TEST(JsonRewriter, ARelativeReloadBecomesALinkInThePathFormToo) {
  DocumentSetting setting = kSetting;
  setting.child_urls = HlsConfig::ChildUrls::path;
  setting.own_carry = carry_of("&sg_k=steering", {});
  JsonRewriter rewriter(DocumentKind::steering);
  EXPECT_EQ(rewritten(rewriter, setting, R"({"RELOAD-URI":"next?x=1"})"),
            R"({"RELOAD-URI":")" + setting.proxy_origin + "/at/" + setting.own_carry +
                R"(/https/up.example/a/next?x=1"})");
  for (const char* kept : {R"({"RELOAD-URI":""})", R"({"RELOAD-URI":"data:,x"})"}) {
    EXPECT_EQ(rewritten(rewriter, setting, kept), kept);
  }
}

TEST(JsonRewriter, BlanksAroundAnAddressAreIgnored) {
  EXPECT_EQ(rewrite_list(R"({"ASSETS":[{"URI":" https://h/ad.m3u8\t"},{"URI":" "}]})"),
            R"({"ASSETS":[{"URI":")" + link_to("https://h/ad.m3u8") + R"("},{"URI":" "}]})");
  DocumentSetting setting = kSetting;
  setting.child_urls = HlsConfig::ChildUrls::path;
  setting.own_carry = "-";
  JsonRewriter rewriter(DocumentKind::asset_list);
  EXPECT_EQ(
      rewritten(rewriter, setting, R"({"ASSETS":[{"URI":" //h/a"},{"URI":" b"}]})"),
      R"({"ASSETS":[{"URI":")" + setting.proxy_origin + R"(/at/-/https/h/a"},{"URI":" b"}]})");
}

// Browsers leave them out.
TEST(JsonRewriter, ATabHidesNoDotSegment) {
  DocumentSetting setting = kSetting;
  setting.child_urls = HlsConfig::ChildUrls::path;
  setting.own_carry = "-";
  JsonRewriter rewriter(DocumentKind::asset_list);
  const std::string at = setting.proxy_origin + "/at/-/";
  EXPECT_EQ(
      rewritten(
          rewriter, setting,
          R"({"ASSETS":[{"URI":"b/\t../../../c"},{"URI":"b/.\n./c"},{"URI":"h\rttp://h/"}]})"),
      R"({"ASSETS":[{"URI":")" + at + R"(https/up.example/c"},{"URI":")" + at +
          R"(https/up.example/a/c"},{"URI":")" + at + R"(http/h/"}]})");
}

TEST(JsonRewriter, RewritesScheduledDateRanges) {
  const std::string assets = "&sg_k=assets";
  EXPECT_EQ(
      rewrite_list(R"({"DATERANGES":[{"ID":"1","CLASS":"c","X-ASSET-URI":"ad.m3u8"},)"
                   R"({"X-ASSET-LIST":"https://h/l?a=1","X-SCHEDULE-OFFSET":5},)"
                   R"({"X-URI":"more.json","X-COM-A":{"X-URI":"u"},"URI":"u"}],"X-URI":"u"})"),
      R"({"DATERANGES":[{"ID":"1","CLASS":"c","X-ASSET-URI":")" + link("ad.m3u8") +
          R"("},{"X-ASSET-LIST":")" + link_to("https://h/l?a=1") + assets +
          R"(","X-SCHEDULE-OFFSET":5},{"X-URI":")" + link("more.json") + assets +
          R"(","X-COM-A":{"X-URI":"u"},"URI":"u"}],"X-URI":"u"})");
}

TEST(JsonRewriter, RewritesAListInADateRange) {
  const auto range = [](const std::string& attribute, const std::string& uri) {
    return R"({"DATERANGES":[{")" + attribute + R"(":")" + uri + "\"}]}";
  };
  const auto data_uri = [](std::string_view json) {
    std::string uri = "data:application/json,";
    percent_encode(json, uri);
    return uri;
  };
  const std::string list = data_uri(R"({"ASSETS":[{"URI":"ad.m3u8"}]})");
  const std::string rewritten_list = data_uri(R"({"ASSETS":[{"URI":")" + link("ad.m3u8") + "\"}]}");
  for (const std::string attribute : {"X-ASSET-LIST", "X-ASSET-URI", "X-URI"}) {
    EXPECT_EQ(rewrite_list(range(attribute, list)), range(attribute, rewritten_list));
  }
  // One level: nested deeply, 1 MiB would take minutes.
  const std::string nested = range("X-ASSET-LIST", data_uri(range("X-ASSET-LIST", list)));
  EXPECT_EQ(rewrite_list(nested), nested);
  EXPECT_EQ(rewrite_list(range("X-ASSET-LIST", "data:,x")), range("X-ASSET-LIST", "data:,x"));
}

// The same rule as in a playlist, wherever the class stands.
TEST(JsonRewriter, TheXUriOfAnotherClassIsNoAddress) {
  const auto list = [](const std::string& members) {
    return R"({"DATERANGES":[{)" + members + R"(},{"X-URI":"a.mp4"}]})";
  };
  const std::string next = R"(},{"X-URI":")" + link("a.mp4") + "\"}]}";
  const std::string uri = R"("X-URI":"u\"é","X-URI":"v",)";
  for (const std::string& members :
       {uri + R"("CLASS":"com.example","X":{"CLASS":"com.apple.hls.preload"})",
        R"("CLASS":"com.example",)" + uri + R"("ID":"1")",
        uri + R"("CLASS":"com.apple.hls.preload","X":[1,{"X-URI":"w"}],"CLASS":"com.example")"}) {
    EXPECT_EQ(rewrite_list(list(members)), R"({"DATERANGES":[{)" + members + next);
  }
  for (const std::string known : {"com.apple.hls.preload", "com.apple.hls.daterange-schedule"}) {
    const std::string of_class = R"(,"CLASS":")" + known + "\"";
    EXPECT_EQ(rewrite_list(list(R"("X-URI":"u")" + of_class)),
              R"({"DATERANGES":[{"X-URI":")" + link("u") + "&sg_k=assets\"" + of_class + next);
  }
  EXPECT_EQ(rewrite_list(list(R"("X-URI":"u","CLASS":null)")),
            R"({"DATERANGES":[{"X-URI":")" + link("u") + R"(&sg_k=assets","CLASS":null)" + next);
  EXPECT_EQ(
      rewrite_list(list(R"("CLASS":"com.example","X-ASSET-URI":"a.m3u8")")),
      R"({"DATERANGES":[{"CLASS":"com.example","X-ASSET-URI":")" + link("a.m3u8") + "\"" + next);
}

TEST(JsonRewriter, RewritesTheImagesOfChapters) {
  EXPECT_EQ(rewrite(DocumentKind::chapters,
                    R"([{"chapter":1,"images":[{"url":"1.jpg"},{"url":"2.jpg"}],"url":"x"}])"),
            R"([{"chapter":1,"images":[{"url":")" + link("1.jpg") + R"("},{"url":")" +
                link("2.jpg") + R"("}],"url":"x"}])");
}

TEST(JsonRewriter, RefusesWhatIsNotJson) {
  for (const char* text :
       {"", " ", "{", "{\"a\":1}}", "{\"a\":1,}", "{'a':1}", "[1 2]", "nul", "{\"a\":\"\xff\"}",
        "{\"a\":\"\n\"}", "// a\n{}", "<html>", "\xEF\xBB"}) {
    EXPECT_EQ(rewrite_list(text), "problem: not well-formed JSON") << text;
  }
}

TEST(JsonRewriter, RefusesMoreThan64Levels) {
  const auto nested = [](size_t levels) {
    return std::string(levels, '[') + std::string(levels, ']');
  };
  EXPECT_EQ(rewrite_list(nested(64)), nested(64));
  EXPECT_EQ(rewrite_list(nested(65)), "problem: JSON with more than 64 levels");
  EXPECT_EQ(rewrite_list(std::string(2000, '[')), "problem: JSON with more than 64 levels");
}

std::string rewrite_once(const std::string& text, const DocumentSetting& setting) {
  JsonRewriter rewriter(DocumentKind::asset_list);
  const std::string out = rewritten_in_two(rewriter, setting, text, text.size() / 2);
  return rewriter.problem() == nullptr ? out : rewriter.problem();
}

TEST(JsonRewriter, RefusesMoreThanOneMebibyte) {
  const std::string most = "\"" + std::string(JsonRewriter::kMaxBytes - 2, 'x') + "\"";
  EXPECT_EQ(rewrite_once(most, kSetting), most);
  EXPECT_EQ(rewrite_once(most + " ", kSetting), "a JSON document of more than 1 MiB");
}

TEST(JsonRewriter, RefusesADocumentWhoseLinksTakeTooMuch) {
  DocumentSetting setting = kSetting;
  setting.same_origin_parameters = "&h_A=" + std::string(8000, 'a');
  std::string text = "{\"ASSETS\":[";
  for (int i = 0; i < 1000; ++i) text += "{\"URI\":\"a\"},";
  EXPECT_EQ(rewrite_once(text + "{}]}", setting), "a rewritten JSON document of more than 4 MiB");
}

// A list of `links` in a `data:` URI; it is broken if its end is.
std::string list_in_uri(int links, std::string_view end) {
  std::string json = "{\"ASSETS\":[";
  for (int i = 0; i < links; ++i) json += "{\"URI\":\"a\"},";
  std::string uri = "data:,";
  percent_encode(json.append("{}]").append(end), uri);
  return uri;
}

std::string date_ranges(int count, const std::string& list) {
  std::string text = "{\"DATERANGES\":[";
  for (int i = 0; i < count; ++i) text += "{\"X-ASSET-LIST\":\"" + list + "\"},";
  return text + "{}]}";
}

TEST(JsonRewriter, RefusesALongListInAUri) {
  DocumentSetting setting = kSetting;
  setting.same_origin_parameters = "&h_A=" + std::string(8000, 'a');
  const std::string problem = "a rewritten JSON document of more than 4 MiB";
  EXPECT_EQ(rewrite_once(date_ranges(1, list_in_uri(20, "}")), setting).find("data:,a"),
            std::string::npos);
  EXPECT_NE(rewrite_once(date_ranges(1, list_in_uri(20, "}")), setting), problem);
  EXPECT_EQ(rewrite_once(date_ranges(1, list_in_uri(40, "}")), setting), problem);
  EXPECT_EQ(rewrite_once(date_ranges(1, list_in_uri(6000, "}")), kSetting), problem);
}

TEST(JsonRewriter, ListsThatAreBrokenTakeLittle) {
  DocumentSetting setting = kSetting;
  setting.same_origin_parameters = "&h_A=" + std::string(8000, 'a');
  const std::string broken = list_in_uri(20, "]");
  EXPECT_EQ(rewrite_once(date_ranges(2, broken), setting), date_ranges(2, broken));
  JsonRewriter rewriter(DocumentKind::asset_list);
  rewriter.begin(setting);
  BlockBuffer out;
  rewriter.write(date_ranges(100, broken), out, 0);
  EXPECT_NE(rewriter.problem(), nullptr);
  EXPECT_LT(rewriter.costly_bytes(), JsonRewriter::kMaxOutput + JsonRewriter::kMaxOutputInUri);
}

TEST(JsonRewriter, CopiesAnObjectWithManyNames) {
  std::string text = "{";
  for (int i = 0; i < 60'000; ++i) text += "\"" + std::to_string(i) + "\":0,";
  text += "\"z\":0}";
  EXPECT_EQ(rewrite_once(text, kSetting), text);
}

}  // namespace
}  // namespace streamgate
