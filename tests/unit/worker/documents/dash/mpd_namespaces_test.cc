// The namespaces of elements: an MPD may have several prefixes for one.
#include "worker/documents/dash/mpd_namespaces.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/mpd_rewriting.h"

namespace streamgate {
namespace {

const std::string kDash = "'urn:mpeg:dash:schema:mpd:2011'";
// Two names of one namespace.
const std::string kRoot = "<MPD xmlns=" + kDash + " xmlns:d=" + kDash + ">";

std::string rewritten_content(const std::string& root, const std::string& content,
                              const std::string& end = "</MPD>") {
  const std::string text = rewrite(root + content + end);
  EXPECT_TRUE(text.starts_with(root) && text.ends_with(end)) << text;
  return text.substr(root.size(), text.size() - root.size() - end.size());
}

const std::string kLink = at("https/up.example/a");

TEST(MpdNamespaces, EachPrefixOfTheMpdIsOne) {
  EXPECT_EQ(rewritten_content(kRoot,
                              "<d:BaseURL>v/</d:BaseURL><Period><d:SegmentTemplate media='/a'/>"
                              "<d:SegmentList><SegmentURL media='/a'/><d:SegmentURL media='/a'/>"
                              "</d:SegmentList></Period><d:Location>/a</d:Location>"),
            "<d:BaseURL>" + at("https/up.example/live/a/v/") +
                "</d:BaseURL><Period><d:SegmentTemplate media='" + kLink +
                "'/><d:SegmentList><SegmentURL media='" + kLink + "'/><d:SegmentURL media='" +
                kLink + "'/></d:SegmentList></Period><d:Location>" + kLink + "</d:Location>");
  EXPECT_EQ(rewritten_content("<d:MPD xmlns:d=" + kDash + ">",
                              "<Period xmlns=" + kDash +
                                  "><SegmentURL media='/a'/></Period>"
                                  "<Period><SegmentURL media='/a'/></Period>",
                              "</d:MPD>"),
            "<d:BaseURL>" + at("https/up.example/live/a/") + "</d:BaseURL><Period xmlns=" + kDash +
                "><SegmentURL media='" + kLink +
                "'/></Period><Period><SegmentURL media='/a'/></Period>");
}

TEST(MpdNamespaces, ABaseUrlKeepsItsPrefix) {
  const std::string directory = at("https/up.example/live/a/");
  const std::string url = "<d:BaseURL a='b'>" + directory + "</d:BaseURL>";
  EXPECT_EQ(rewritten_content(kRoot, "<d:BaseURL a='b'/><Period/>"), url + "<Period/>");
  EXPECT_EQ(rewritten_content(kRoot, "<Period/><d:BaseURL a='b'/>"), url + "<Period/>");
  EXPECT_EQ(rewritten_content(kRoot, "<Period/><d:BaseURL a='b'>.</d:BaseURL>"), url + "<Period/>");
  EXPECT_EQ(rewritten_content(kRoot, "<d:Period/>"),
            "<BaseURL>" + directory + "</BaseURL><d:Period/>");
}

TEST(MpdNamespaces, ElementsOfOtherNamespacesStay) {
  const std::string begin = "<BaseURL>" + at("http/c/") + "</BaseURL><Period>";
  for (const std::string other : {"<d:Other xmlns:d='urn:x'><d:Location>/a</d:Location></d:Other>",
                                  "<x:BaseURL xmlns:x='urn:x'>http://o/</x:BaseURL>"}) {
    const std::string next = "<SegmentURL media='/a'/><d:SegmentURL media='/a'/></Period>";
    const std::string link = at("http/c/a");
    EXPECT_EQ(rewritten_content(kRoot, "<BaseURL>http://c/</BaseURL><Period>" + other + next),
              begin + other + "<SegmentURL media='" + link + "'/><d:SegmentURL media='" + link +
                  "'/></Period>");
  }
  EXPECT_EQ(rewritten_content(
                kRoot, "<BaseURL>http://c/</BaseURL><Period><o xmlns='urn:x' xmlns:m=" + kDash +
                           "><m:SegmentURL media='/a'/></o></Period>"),
            begin + "<o xmlns='urn:x' xmlns:m=" + kDash + "><m:SegmentURL media='" +
                at("http/c/a") + "'/></o></Period>");
}

// Players look at names only, so the URL would lead them past us.
TEST(MpdNamespaces, AnElementWithoutAPrefixIsOfTheMpdInAnyDefaultNamespace) {
  const std::string begin = "<MPD xmlns=" + kDash + ">";
  const auto check = [&](const std::string& content, const std::string& wanted) {
    EXPECT_EQ(rewritten_content(begin, content), wanted);
  };
  const std::string base = "<BaseURL>" + at("http/c/") + "</BaseURL>";
  check("<BaseURL>http://c/</BaseURL><Period><BaseURL xmlns='urn:x'>http://o/</BaseURL></Period>",
        base + "<Period><BaseURL xmlns='urn:x'>" + at("http/o/") + "</BaseURL></Period>");
  check("<BaseURL>http://c/</BaseURL><Period xmlns='urn:x'><SegmentURL media='/a'/></Period>",
        base + "<Period xmlns='urn:x'><SegmentURL media='" + at("http/c/a") + "'/></Period>");
  // With a prefix at the root, they are other elements.
  const std::string period = "<Period xmlns='urn:x'><SegmentURL media='/a'/></Period>";
  EXPECT_EQ(rewritten_content("<d:MPD xmlns:d=" + kDash + ">",
                              "<d:BaseURL>http://c/</d:BaseURL>" + period, "</d:MPD>"),
            "<d:BaseURL>" + at("http/c/") + "</d:BaseURL>" + period);
}

// What players accept: they look at local names only.
TEST(MpdNamespaces, TheNamespaceOfTheRootMayBeAnyOrNone) {
  const std::string before = "<BaseURL>http://c/</BaseURL>";
  const std::string after = "<BaseURL>" + at("http/c/") + "</BaseURL>";
  const std::string segment = "<SegmentURL media='/a'/></Period>";
  const std::string linked = "<SegmentURL media='" + at("http/c/a") + "'/></Period>";
  for (const std::string root :
       {"<MPD>", "<MPD xmlns='urn:x'>", "<MPD xmlns='urn:mpeg:DASH:schema:MPD:2011'>"}) {
    for (const std::string period :
         {"<Period>", "<Period xmlns=''>", "<Period xmlns='urn:mpeg:dash:schema:mpd:2011'>"}) {
      EXPECT_EQ(rewritten_content(root, before + period + segment), after + period + linked);
    }
  }
}

TEST(MpdNamespaces, APatchIsOfAnotherNamespaceThanItsElements) {
  const std::string begin =
      "<p:Patch xmlns:p='urn:mpeg:dash:schema:mpd-patch:2020' xmlns:m=" + kDash +
      " xmlns='urn:x'><p:add sel='/MPD'>";
  const std::string end = "</p:add></p:Patch>";
  const auto check = [&](const std::string& content, const std::string& wanted) {
    const MpdOutcome made = outcome(begin + content + end, kSetting, DocumentKind::mpd_patch);
    EXPECT_EQ(made.text, begin + wanted + end);
  };
  const std::string link = "SegmentURL media='" + kLink + "'/>";
  check("<m:Period><m:SegmentURL media='/a'/><SegmentURL media='/a'/></m:Period>",
        "<m:Period><m:" + link + "<SegmentURL media='/a'/></m:Period>");
  check("<Period><m:SegmentURL media='/a'/><SegmentURL media='/a'/></Period>",
        "<Period><m:" + link + "<" + link + "</Period>");
}

TEST(MpdNamespaces, RefusesTooManyPrefixes) {
  std::string most = "<MPD";
  for (int i = 0; i < 60; ++i) most += " xmlns:p" + std::to_string(i) + "='urn:x'";
  EXPECT_EQ(outcome(most + "/>").problem, "");
  for (int i = 60; i < 70; ++i) most += " xmlns:p" + std::to_string(i) + "='urn:x'";
  EXPECT_NE(outcome(most + "/>").problem, "");
  EXPECT_NE(outcome("<MPD xmlns:" + std::string(300, 'p') + "='urn:x'/>").problem, "");
  most.replace(1, 3, "mpd");  // no manifest
  EXPECT_EQ(rewrite(most + "/>"), most + "/>");
  // Those of one element after the other are few at a time.
  std::string many = "<MPD><Period>";
  for (int i = 0; i < 70; ++i) many += "<e xmlns:p" + std::to_string(i) + "='urn:x'/>";
  EXPECT_EQ(outcome(many + "</Period></MPD>").problem, "");
}

TEST(MpdRewriter, AnAttributeOfDvbMayHaveAnyPrefix) {
  const std::string font = "<SupplementalProperty schemeIdUri='urn:dvb:dash:fontdownload:2014' ";
  EXPECT_EQ(rewritten_period(font + "d:url='/a'/>" + font + "url='/a'/>"),
            font + "d:url='" + kLink + "'/>" + font + "url='/a'/>");
}

TEST(MpdRewriter, AQueryInAnEventStays) {
  const std::string query =
      "<up:UrlQueryInfo useMPDUrlQuery='true' queryTemplate='$querypart$' xlink:href='q'/>"
      "<RequestParam useMPDUrlQuery='true' queryString='a'/>";
  const std::string event = "<EventStream><Event id='1'>" + query + "</Event></EventStream>";
  EXPECT_EQ(rewritten_period(event), event);
  EXPECT_NE(rewritten_period(event + query).rfind("queryString='tok=x/y&amp;a'"),
            std::string::npos);
}

TEST(MpdRewriter, ASegmentAsTheRootIsNoManifest) {
  const std::string text = "<S><BaseURL>http://x/</BaseURL></S>";
  EXPECT_EQ(rewrite(text), text);
}

// Browsers leave out tabs and line ends.
TEST(MpdRewriter, ASchemeWithATabStaysNot) {
  EXPECT_EQ(rewritten_period("<BaseURL>ht\ntp://o/</BaseURL><SegmentURL media='h&#9;ttp://o/s' "
                             "index='/i'/>"),
            "<BaseURL>" + at("http/o/") + "</BaseURL><SegmentURL media='" + at("http/o/s") +
                "' index='" + at("http/o/i") + "'/>");
}

TEST(MpdRewriter, ATabHidesNoDotSegment) {
  EXPECT_EQ(rewritten_period("<BaseURL>v/\t../</BaseURL><SegmentURL media='v/&#9;../../../s' "
                             "index='v/&#10;../../s'/><SegmentURL media='../../../s'/>"),
            "<BaseURL>v/\t../</BaseURL><SegmentURL media='v/&#9;../../../s' "
            "index='v/&#10;../../s'/><SegmentURL media='" +
                at("https/up.example/s") + "'/>");
  EXPECT_EQ(rewritten_period("<SegmentURL media='v/&#9;../../../../s'/>"),
            "<SegmentURL media='" + at("https/up.example/s") + "'/>");
}

// ffmpeg appends a slash to the text of a BaseURL.
TEST(MpdRewriter, AQueryAfterAnEmptyBaseUrlBelongsToTheDocument) {
  const std::string url = at("https/up.example/live/a/manifest.mpd?b");
  const std::string segment = "<SegmentURL media='?b'/>";
  const std::string linked = "<SegmentURL media='" + url + "'/>";
  const std::string base = "<MPD><BaseURL>" + at("https/up.example/live/a/") + "</BaseURL>";
  for (const std::string empty : {"<BaseURL/>", "<BaseURL> \n</BaseURL>"}) {
    EXPECT_EQ(rewrite("<MPD>" + empty + "<Period>" + segment + "</Period></MPD>"),
              base + "<Period>" + linked + "</Period></MPD>");
    EXPECT_EQ(rewrite("<MPD><Period>" + empty + segment + "</Period></MPD>"),
              base + "<Period>" + empty + linked + "</Period></MPD>");
  }
}

}  // namespace
}  // namespace streamgate
