#include "worker/explain/manifest_facts.h"

#include <gtest/gtest.h>

#include <string>

namespace streamgate {
namespace {

// Those of a manifest that is well-formed.
ExplainedManifest facts_of(std::string_view text, std::string_view rewritten) {
  const auto facts = manifest_facts(text, rewritten);
  EXPECT_TRUE(facts.has_value()) << text.substr(0, 100);
  return facts.value_or(ExplainedManifest());
}
ExplainedManifest facts_of(std::string_view text) { return facts_of(text, text); }

constexpr std::string_view kProtected = R"(<?xml version="1.0"?>
<mpd:MPD xmlns:mpd="urn:mpeg:dash:schema:mpd:2011" type="dynamic">
 <mpd:Period><mpd:AdaptationSet mimeType="video/mp4" width="640" height="360" codecs="avc1.4d401e">
  <mpd:ContentProtection schemeIdUri="urn:mpeg:dash:mp4protection:2011" value="cenc"/>
  <mpd:ContentProtection schemeIdUri="urn:uuid:EDEF8BA9-79D6-4ACE-A3C8-27DCD51D21ED"/>
  <mpd:ContentProtection schemeIdUri="urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"/>
  <mpd:ContentProtection schemeIdUri="urn:uuid:other"/>
  <mpd:Representation id="1" bandwidth="800000"/>
  <mpd:Representation id="2" bandwidth="9" width="1280" height="720" codecs="avc1.64001f"/>
 </mpd:AdaptationSet><mpd:AdaptationSet contentType="audio" lang="de">
  <mpd:Representation id="3" bandwidth="7" mimeType="audio/mp4"/>
 </mpd:AdaptationSet></mpd:Period>
</mpd:MPD>)";

TEST(ManifestFacts, RepresentationsHaveTheAttributesOfTheirSet) {
  const ExplainedManifest facts = facts_of(kProtected);
  EXPECT_TRUE(facts.is_live);
  EXPECT_EQ(facts.periods, 1u);
  ASSERT_EQ(facts.representations.size(), 3u);
  EXPECT_EQ(facts.representations[0].bandwidth, "800000");
  EXPECT_EQ(facts.representations[0].height, "360");
  EXPECT_EQ(facts.representations[0].codecs, "avc1.4d401e");
  EXPECT_EQ(facts.representations[1].height, "720");
  EXPECT_EQ(facts.representations[1].type, "video/mp4");
  EXPECT_EQ(facts.representations[2].type, "audio/mp4");
  EXPECT_EQ(facts.representations[2].language, "de");
  EXPECT_EQ(facts.representations[2].width, "");
}

TEST(ManifestFacts, EachKeySystemIsNamedOnce) {
  const ExplainedManifest facts = facts_of(kProtected);
  EXPECT_TRUE(facts.is_encrypted);
  EXPECT_EQ(facts.keys, (std::vector<std::string>{"Widevine", "urn:uuid:other"}));
  EXPECT_FALSE(facts_of("<MPD/>").is_encrypted);
}

TEST(ManifestFacts, CountsAllRepresentationsButListsSixteen) {
  std::string text = "\xef\xbb\xbf <MPD><Period>";
  for (int i = 0; i < 20; ++i) text += "<Representation bandwidth='1'/>";
  const ExplainedManifest facts = facts_of(text);
  EXPECT_EQ(facts.representation_count, 20u);
  EXPECT_EQ(facts.representations.size(), 16u);
}

TEST(ManifestFacts, OnlyChangedLinksCountAndEachHasItsOriginal) {
  const ExplainedManifest facts = facts_of(
      "<MPD><Period><BaseURL>b/</BaseURL><SegmentTemplate media='http://c/$Number$?k=1&l=2'"
      " initialization='i'/></Period><BaseURL>http://h/a/</BaseURL></MPD>",
      "<MPD><BaseURL>/at/Q0FSUlk/http/h/a/</BaseURL><Period><BaseURL>b/</BaseURL><SegmentTemplate "
      "media='/at/-/http/c/$Number$?k=1&amp;l=2' initialization='i'/></Period></MPD>");
  EXPECT_EQ(facts.rewritten_links, 2u);
  ASSERT_EQ(facts.links.size(), 2u);
  EXPECT_EQ(facts.links[0].before, "http://h/a/");
  EXPECT_EQ(facts.links[0].after, "/at/*/http/h/a/");
  EXPECT_EQ(facts.links[1].before, "http://c/$Number$?k=*&l=*");
  EXPECT_EQ(facts.links[1].after, "/at/-/http/c/$Number$?k=*&l=*");
}

TEST(ManifestFacts, AnInsertedBaseUrlHasNoOriginal) {
  const ExplainedManifest facts =
      facts_of("<MPD><Period><BaseURL>b/</BaseURL></Period></MPD>",
               "<MPD><BaseURL>/at/-/http/h/</BaseURL><Period><BaseURL>b/</BaseURL></Period></MPD>");
  ASSERT_EQ(facts.links.size(), 1u);
  EXPECT_EQ(facts.links[0].before, "");
}

TEST(ManifestFacts, ATruncatedManifestIsReadUpToThere) {
  EXPECT_EQ(facts_of("<MPD><Period><Representation bandwidth='1'/><Rep").representation_count, 1u);
  EXPECT_EQ(facts_of("<MPD><Period/></MPD><Junk>&").periods, 1u);
  EXPECT_EQ(facts_of("").periods, 0u);
}

TEST(ManifestFacts, ABrokenManifestHasNone) {
  for (const std::string_view text : {"<MPD><Period></MPD><Period/>", "<MPD><Period a=1/></MPD>",
                                      "<!DOCTYPE MPD [<!ENTITY a 'b'>]><MPD><Period/></MPD>"}) {
    EXPECT_FALSE(manifest_facts(text, text)) << text;
  }
}

size_t count(std::string_view text, std::string_view part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(ManifestFacts, ALongManifestHasThoseOfItsBegin) {
  std::string text = "<MPD type='dynamic'><Period><AdaptationSet mimeType='video/mp4'>";
  for (int i = 0; i < 20; ++i) text += "<Representation bandwidth='1'/>";
  std::string rewritten = text;
  text += "<SegmentList>";
  rewritten += "<SegmentList>";
  for (int i = 0; text.size() < 2'000'000; ++i) {
    const std::string end = "c/" + std::to_string(i) + ".m4s'/>";
    text += "<SegmentURL media='http://" + end;
    rewritten += "<SegmentURL media='/at/-/http/" + end;
  }
  const std::string_view end = "</SegmentList></AdaptationSet></Period></MPD>";
  const ExplainedManifest facts = facts_of(text.append(end), rewritten.append(end));
  EXPECT_TRUE(facts.is_truncated);
  EXPECT_TRUE(facts.is_live);
  EXPECT_EQ(facts.representation_count, 20u);
  EXPECT_EQ(facts.representations.size(), 16u);
  const std::string_view read = std::string_view(rewritten).substr(0, kMaxManifestBytes);
  EXPECT_EQ(facts.rewritten_links, count(read, ".m4s'/>"));
  ASSERT_EQ(facts.links.size(), 3u);
  EXPECT_EQ(facts.links[2].before, "http://c/2.m4s");
  EXPECT_EQ(facts.links[2].after, "/at/-/http/c/2.m4s");
  EXPECT_FALSE(facts_of(kProtected).is_truncated);
}

// The rest of a rewritten manifest that is the shorter one has no originals.
TEST(ManifestFacts, LinksBeyondTheOriginalDoNotCount) {
  const std::string_view list = "<MPD><SegmentURL media='a'/>";
  EXPECT_EQ(facts_of(list, std::string(list) + "<SegmentURL media='b'/>").rewritten_links, 0u);
}

TEST(ManifestFacts, OtherEncodingsAreReadAsByTheRewriter) {
  EXPECT_EQ(facts_of("<?xml version='1.0' encoding='windows-1252'?><MPD><Period id='\xe9'/>"
                     "</MPD>")
                .periods,
            1u);
  EXPECT_EQ(facts_of("<?xml version='1.0' encoding='UTF-16'?><MPD><Period/></MPD>").periods, 1u);
}

TEST(ManifestFacts, FactsAreBounded) {
  const ExplainedManifest facts =
      facts_of("<MPD><Representation codecs='" + std::string(1000, 'a') + "'/></MPD>");
  ASSERT_EQ(facts.representations.size(), 1u);
  EXPECT_LE(facts.representations[0].codecs.size(), 67u);
}

}  // namespace
}  // namespace streamgate
