// Patches and remote elements of an MPD.
#include "worker/documents/dash/mpd_patch.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/mpd_rewriting.h"

namespace streamgate {
namespace {

std::string rewrite_as(DocumentKind kind, std::string_view text) {
  const MpdOutcome made = outcome(text, kSetting, kind);
  EXPECT_EQ(made.problem, "") << text;
  return made.text;
}

std::string patched(std::string_view operations) {
  const std::string begin =
      "<?xml version='1.0'?>\n<Patch xmlns='urn:mpeg:dash:schema:mpd-patch:2020'>";
  const std::string text =
      rewrite_as(DocumentKind::mpd_patch, begin + std::string(operations) + "</Patch>\n");
  EXPECT_TRUE(text.starts_with(begin)) << text;
  EXPECT_TRUE(text.ends_with("</Patch>\n")) << text;
  return text.substr(begin.size(), text.size() - begin.size() - 9);
}

std::string remote(std::string_view text) { return rewrite_as(DocumentKind::mpd_part, text); }

TEST(MpdPatch, ElementsAreRewrittenAsInTheManifest) {
  const std::string plain =
      "<add sel=\"/MPD/Period[1]/AdaptationSet[@id='a/b']/SegmentTemplate/SegmentTimeline\">"
      "<S t='1' d='2'/></add><remove sel=\"/MPD/Period[1]\"/>";
  EXPECT_EQ(patched(plain), plain);
  EXPECT_EQ(
      patched("<add sel='/MPD' pos='prepend'><Period><SegmentTemplate media='/a/$Number$.m4s' "
              "initialization='i.mp4'/></Period></add>"),
      "<add sel='/MPD' pos='prepend'><Period><SegmentTemplate media='" +
          at("https/up.example/a/$Number$.m4s") + "' initialization='i.mp4'/></Period></add>");
  EXPECT_EQ(
      patched("<replace sel='/MPD/PatchLocation[1]'><PatchLocation ttl='9'>p?x=1</PatchLocation>"
              "</replace>"),
      "<replace sel='/MPD/PatchLocation[1]'><PatchLocation ttl='9'>" +
          noted("patch", "https://up.example/live/a/manifest.mpd .",
                "https/up.example/live/a/p?x=1") +
          "</PatchLocation></replace>");
}

TEST(MpdPatch, OnlyABaseUrlOfTheMpdItselfIsMadeAbsolute) {
  const std::string url = "<BaseURL>b/</BaseURL>";
  const std::string absolute = "<BaseURL>" + at("https/up.example/live/a/b/") + "</BaseURL>";
  EXPECT_EQ(patched("<add sel='/MPD'>" + url + "</add>"), "<add sel='/MPD'>" + absolute + "</add>");
  EXPECT_EQ(patched("<replace sel='/MPD/BaseURL[1]'>" + url + "</replace>"),
            "<replace sel='/MPD/BaseURL[1]'>" + absolute + "</replace>");
  EXPECT_EQ(patched("<add sel='/MPD/Period[1]' pos='before'>" + url + "</add>"),
            "<add sel='/MPD/Period[1]' pos='before'>" + absolute + "</add>");
  for (const std::string sel :
       {"<add sel='/MPD/Period[1]'>", "<add sel='/MPD/Period/*' pos='after'>",
        "<add sel='/MPD'><Period>"}) {
    const std::string end = sel.ends_with("<Period>") ? "</Period></add>" : "</add>";
    EXPECT_EQ(patched(sel + url + end), sel + url + end);
  }
}

TEST(MpdPatch, AttributesAndTextsThatAreUrlsAreRewritten) {
  const auto is_link = [](const std::string& begin, const std::string& end, const std::string& url,
                          const std::string& link) {
    EXPECT_EQ(patched(begin + url + end), begin + link + end);
  };
  const std::string segment = at("http/cdn.example/$Time$.m4s?a&amp;b");
  is_link("<replace sel='/MPD/Period/*/SegmentTemplate/@media'>", "</replace>",
          "http://cdn.example/$Time$.m4s?a&amp;b", segment);
  is_link("<add sel='/MPD/Period/SegmentTemplate' type='@media'>", "</add>",
          " http://cdn.example/$Time$.m4s?a&amp;b", segment);
  is_link("<replace sel='/MPD/BaseURL[1]/text()'>", "</replace>", "b/",
          at("https/up.example/live/a/b/"));
  is_link("<replace sel='/MPD/Location/text()'>", "</replace>", "m.mpd",
          at("https/up.example/live/a/m.mpd"));
  is_link("<replace sel=\"/MPD/UTCTiming/@value\">", "</replace>", "http://t.example/",
          at("http/t.example/"));
  is_link(
      "<add sel='/MPD/Period[2]' type='@xlink:href'>", "</add>", "p.xml",
      noted("remote", "https://up.example/live/a/manifest.mpd .", "https/up.example/live/a/p.xml"));
  for (const std::string stays :
       {"<replace sel='/MPD/@publishTime'>http://x.example/</replace>",
        "<replace sel='/MPD/Period/BaseURL/text()'>b/</replace>",
        "<replace sel='/MPD/Period/SegmentTemplate/@media'>a.m4s</replace>",
        "<replace sel='/MPD/UTCTiming/@value'>2026-01-01T00:00:00Z</replace>",
        "<replace sel='/MPD/EssentialProperty/@value'>http://x.example/</replace>",
        "<replace sel='/MPD/Period/SegmentTemplate/@media'/>", "<replace>http://x/</replace>",
        "<replace sel=\"[[/'\">http://x/</replace>"}) {
    EXPECT_EQ(patched(stays), stays);
  }
}

// The setting of a document on another host than the manifest that its link names.
DocumentSetting elsewhere(std::string_view base_url, std::string_view note) {
  DocumentSetting setting = setting_of(base_url);
  append_base64url(note, setting.variables);
  return setting;
}

constexpr std::string_view kNote = "https://up.example/live/m.mpd https://cdn.example/v/";

TEST(MpdPatch, ReferencesBelongToTheManifestThatTheLinkNames) {
  const DocumentSetting setting = elsewhere("https://patch.example/p/1.mpp?x", kNote);
  const auto check = [&](const std::string& operation, const std::string& wanted) {
    const MpdOutcome made =
        outcome("<Patch>" + operation + "</Patch>", setting, DocumentKind::mpd_patch);
    EXPECT_EQ(made.text, "<Patch>" + wanted + "</Patch>");
  };
  check(
      "<add sel='/MPD'><Period><SegmentURL media='/a' index='../a'/><BaseURL>x/</BaseURL>"
      "<SegmentURL media='/a' index='../../a'/><SegmentURL media='../../../a'/></Period></add>",
      "<add sel='/MPD'><Period><SegmentURL media='" + at("https/cdn.example/a") +
          "' index='../a'/><BaseURL>x/</BaseURL><SegmentURL media='" + at("https/cdn.example/a") +
          "' index='../../a'/><SegmentURL media='" + at("https/cdn.example/a") +
          "'/></Period></add>");
  check("<replace sel='/MPD/PatchLocation[1]'><PatchLocation>p/2.mpp</PatchLocation></replace>",
        "<replace sel='/MPD/PatchLocation[1]'><PatchLocation>" +
            noted("patch", kNote, "https/up.example/live/p/2.mpp") + "</PatchLocation></replace>");
  check("<replace sel='/MPD/PatchLocation[1]/text()'>/2.mpp</replace>",
        "<replace sel='/MPD/PatchLocation[1]/text()'>" +
            noted("patch", kNote, "https/up.example/2.mpp") + "</replace>");
  for (const std::string element : {"Location", "BaseURL"}) {
    const std::string begin = "<add sel='/MPD'><" + element + ">";
    const std::string end = "</" + element + "></add>";
    check(begin + "x/" + end, begin + at("https/up.example/live/x/") + end);
    const std::string text = "<replace sel='/MPD/" + element + "/text()'>";
    check(text + "x/</replace>", text + at("https/up.example/live/x/") + "</replace>");
  }
  for (const std::string sel : {"SegmentTemplate/@media'>", "BaseURL/text()'>"}) {
    const std::string begin = "<replace sel='/MPD/Period/" + sel;
    check(begin + "/x/</replace>", begin + at("https/cdn.example/x/") + "</replace>");
    check(begin + "x/</replace>", begin + "x/</replace>");
  }
}

TEST(MpdPatch, ANoteThatNamesNoManifestIsIgnored) {
  for (const std::string note : {"", "x", "https://a/", "https://a/ ", "https://a/ x",
                                 "ftp://a/ https://b/", "https://a/ ftp://b/", " https://a/"}) {
    const MpdOutcome made =
        outcome("<Patch><add sel='/MPD'><SegmentURL media='/a'/></add></Patch>",
                elsewhere("https://patch.example/p", note), DocumentKind::mpd_patch);
    EXPECT_NE(made.text.find("https/patch.example/a"), made.text.npos) << note;
  }
}

TEST(RemoteElements, ReferencesBelongToTheManifestThatTheLinkNames) {
  const MpdOutcome made =
      outcome("<Period xlink:href='2.xml'><SegmentURL media='/a' index='?b'/></Period>",
              elsewhere("https://remote.example/r/1.xml", kNote), DocumentKind::mpd_part);
  EXPECT_EQ(made.text, "<Period xlink:href='" +
                           noted("remote", "https://remote.example/r/1.xml https://cdn.example/v/",
                                 "https/remote.example/r/2.xml") +
                           "'><SegmentURL media='" + at("https/cdn.example/a") + "' index='" +
                           at("https/cdn.example/v/?b") + "'/></Period>");
}

TEST(MpdPatch, ThePrefixIsThatOfTheElements) {
  EXPECT_EQ(
      patched("<add sel='/m:MPD/m:Period' xmlns:m='urn:mpeg:dash:schema:mpd:2011'><m:SegmentURL "
              "media='/a'/></add>"),
      "<add sel='/m:MPD/m:Period' xmlns:m='urn:mpeg:dash:schema:mpd:2011'><m:SegmentURL "
      "media='" +
          at("https/up.example/a") + "'/></add>");
}

TEST(MpdPatch, OtherRootsPassUnchanged) {
  const std::string text = "<diff><add sel='/MPD'><BaseURL>b/</BaseURL></add></diff>";
  EXPECT_EQ(rewrite_as(DocumentKind::mpd_patch, text), text);
}

TEST(RemoteElements, SeveralRootsAreRewritten) {
  EXPECT_EQ(
      remote("\xEF\xBB\xBF <?xml version='1.0' encoding='utf-8'?>\n<Period id='1'>"
             "<BaseURL>http://c.example/</BaseURL><SegmentURL media='/a'/></Period>\n<!-- b -->"
             "<Period xlink:href='next.xml'><SegmentURL media='/a'/><SegmentURL media='a'/>"
             "</Period> "),
      "\xEF\xBB\xBF <?xml version='1.0' encoding='utf-8'?>\n<Period id='1'><BaseURL>" +
          at("http/c.example/") + "</BaseURL><SegmentURL media='" + at("http/c.example/a") +
          "'/></Period>\n<!-- b --><Period xlink:href='" +
          noted("remote", "https://up.example/live/a/manifest.mpd .",
                "https/up.example/live/a/next.xml") +
          "'><SegmentURL media='" + at("https/up.example/a") +
          "'/><SegmentURL media='a'/></Period> ");
}

TEST(RemoteElements, AnyElementMayBeRemote) {
  EXPECT_EQ(
      remote("<m:AdaptationSet xmlns:m='urn:mpeg:dash:schema:mpd:2011'><m:BaseURL>b/</m:BaseURL>"
             "<m:SegmentURL media='//c/a'/></m:AdaptationSet>"),
      "<m:AdaptationSet xmlns:m='urn:mpeg:dash:schema:mpd:2011'><m:BaseURL>b/</m:BaseURL>"
      "<m:SegmentURL media='" +
          at("https/c/a") + "'/></m:AdaptationSet>");
  EXPECT_EQ(remote(""), "");
  EXPECT_EQ(remote("<Period/>"), "<Period/>");
}

TEST(RemoteElements, RefusesWhatIsNoXml) {
  for (const std::string bad : {"<Period>", "</r><Period/>", "<Period/></r>", "<Period/></r><r>",
                                "<!DOCTYPE a><Period/>", "<?xml version='1.0'"}) {
    EXPECT_NE(outcome(bad, kSetting, DocumentKind::mpd_part).problem, "") << bad;
  }
}

TEST(RemoteElements, TheBaseIsThatOfTheirPlace) {
  const std::string document = "https://up.example/live/a/manifest.mpd";
  const auto link = [&](const std::string& base, const std::string& name) {
    return noted("remote", document + " " + base, "https/up.example/live/a/" + name);
  };
  EXPECT_EQ(rewrite("<MPD><Period x:href='1'/><Period><BaseURL>http://c/v/</BaseURL>"
                    "<AdaptationSet x:href='2'/></Period><Period x:href='3'/></MPD>"),
            "<MPD>" + kBase + "<Period x:href='" + link(".", "1") + "'/><Period><BaseURL>" +
                at("http/c/v/") + "</BaseURL><AdaptationSet x:href='" + link("http://c/v/", "2") +
                "'/></Period><Period x:href='" + link(".", "3") + "'/></MPD>");
}

TEST(MpdRewriter, ABaseUrlBehindThePeriodsMovesInFrontOfThem) {
  const std::string period = "<Period><SegmentURL media='a'/></Period>";
  const std::string url = "<BaseURL>" + at("https/c.example/v/") + "</BaseURL>";
  EXPECT_EQ(rewrite("<MPD> " + period + "<BaseURL>https://c.example/v/</BaseURL></MPD>"),
            "<MPD> " + url + period + "</MPD>");
  const std::string own = "<BaseURL serviceLocation='a&amp;b'>";
  const std::string dash = at("https/up.example/live/a/dash/");
  EXPECT_EQ(
      rewrite("<MPD>" + period + own + "dash/</BaseURL>" + period + "<BaseURL>x/</BaseURL></MPD>"),
      "<MPD>" + own + dash + "</BaseURL>" + period + period + "<BaseURL>" +
          at("https/up.example/live/a/x/") + "</BaseURL></MPD>");
  EXPECT_EQ(rewrite("<MPD>" + period + "<BaseURL/></MPD>"), "<MPD>" + kBase + period + "</MPD>");
  EXPECT_EQ(rewrite("<MPD>" + period + "<BaseURL>ftp://c/</BaseURL>" + period + "</MPD>"),
            "<MPD>" + period + "<BaseURL>ftp://c/</BaseURL>" + period + "</MPD>");
}

TEST(MpdRewriter, BaseUrlsOfOneElementDoNotBelongToEachOther) {
  EXPECT_EQ(rewrite("<MPD><BaseURL>http://c.example/x/</BaseURL><BaseURL>b/</BaseURL><Period>"
                    "<BaseURL>http://d.example/</BaseURL><BaseURL>/e/</BaseURL></Period></MPD>"),
            "<MPD><BaseURL>" + at("http/c.example/x/") + "</BaseURL><BaseURL>" +
                at("https/up.example/live/a/b/") + "</BaseURL><Period><BaseURL>" +
                at("http/d.example/") + "</BaseURL><BaseURL>" + at("http/c.example/e/") +
                "</BaseURL></Period></MPD>");
}

TEST(MpdRewriter, ALongDocumentIsNotHeldToItsEnd) {
  const std::string long_comment = "<!--" + std::string(300 * 1024, 'x') + "-->";
  MpdRewriter rewriter;
  const std::string text = "<MPD><Period/>" + long_comment + "<BaseURL>b/</BaseURL></MPD>";
  const MpdOutcome made = run(rewriter, kSetting, text, 4096, 4096);
  EXPECT_EQ(made.text, "<MPD>" + kBase + "<Period/>" + long_comment + "<BaseURL>" +
                           at("https/up.example/live/a/b/") + "</BaseURL></MPD>");
  EXPECT_LE(rewriter.memory_bytes(), size_t{2048} * 1024);
}

}  // namespace
}  // namespace streamgate
