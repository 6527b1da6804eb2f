// How MpdRewriter reads segments, and other frequent elements without content.
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tests/unit/mpd_rewriting.h"
#include "worker/documents/dash/mpd_rewriter.h"
#include "worker/http/base64.h"

namespace streamgate {
namespace {

TEST(MpdSegments, SegmentsOfTimelinesStay) {
  const std::string plain = "<S t=\"0\" d='1'/>\r\n <S d=\"1\" r=\"-1\" /><S/>";
  const std::string period = "<SegmentTemplate><SegmentTimeline>" + plain +
                             "<!-- <S d='1'/> > --><S x:href='/a'/>" + plain +
                             "<S d='&#49;'></S><![CDATA[<S d='1'/>" + plain + "]]>" + plain +
                             "</SegmentTimeline></SegmentTemplate><SegmentURL media='/a'/>";
  std::string wanted = period;
  wanted.replace(wanted.find("media='/a"), 9, "media='" + at("https/up.example/a"));
  EXPECT_EQ(rewritten_period(period), wanted);
  for (const std::string bad :
       {"<S t='1' t='1'/>", "<S t='1'd='1'/>", "<S t=1/>", "<S t='<'/>", "<S>", "<S d='1'/"}) {
    EXPECT_NE(
        outcome(mpd("<SegmentTimeline>" + plain + bad + plain + "</SegmentTimeline>")).problem, "")
        << bad;
  }
}

// Plain segments are not parsed (segment_run.h). Others between them are.
TEST(MpdSegments, SegmentsOfListsAreRewrittenAsElsewhere) {
  const std::string plain =
      "<SegmentURL media=\"a/1-b_c.m4s\" mediaRange='0-9'/>\n<SegmentURL/> "
      "<SegmentURL index='i=1,2+~@' indexRange=\"5\" media=''/>";
  const auto check = [&](const std::string& element) {
    const std::string begin = "<SegmentList>" + plain;
    const std::string end = plain + "</SegmentList>";
    EXPECT_EQ(rewritten_period(begin + element + end), begin + rewritten_period(element) + end);
  };
  for (const std::string reference : {"/a",
                                      "//h/a",
                                      "http://h/a",
                                      "HTTP:a",
                                      "../../../a",
                                      "a/../../../../a",
                                      "a/..",
                                      "a/./b",
                                      ".",
                                      "..",
                                      "%2e%2e/%2e%2e/%2e%2e/a",
                                      "a?sg_token=1",
                                      "a#b",
                                      " a ",
                                      "a&amp;b",
                                      "\xC3\xA9",
                                      "/",
                                      "/a/b-1_c.m4s",
                                      "/.",
                                      "/..",
                                      "/a/..",
                                      "/a/./b",
                                      "/.a",
                                      "/a//b",
                                      "/a?b",
                                      "/a:b",
                                      "/%41",
                                      "https://h:8443/a/b.m4s",
                                      "https://H/",
                                      "https://h",
                                      "https:/h/a",
                                      "https://h//a",
                                      "https://h/.",
                                      "https://h/a/../b",
                                      "https://h/a?b",
                                      "https://u@h/a",
                                      "https://h_h/a",
                                      "https://h:x/a",
                                      "https:///a",
                                      "https://proxy/at/-/http/h/a",
                                      "https://proxy/b",
                                      "https://proxy.example/a",
                                      "https://prox/a"}) {
    check("<SegmentURL media='" + reference + "'/>");
    check("<SegmentURL index=\"" + reference + "\" media='a'></SegmentURL>");
  }
  for (char c = ' '; c < '\x7f'; ++c) {
    if (c == '<' || c == '&' || c == '\'') continue;
    const std::string one(1, c);
    check("<SegmentURL media='" + one + "'/>");
    check("<SegmentURL media='a" + one + "b'/>");
    check("<SegmentURL media='a/" + one + "/" + one + one + "/b'/>");
  }
  for (const std::string bad :
       {"<SegmentURL media='a' media='a'/>", "<SegmentURL media='a'index='a'/>",
        "<SegmentURL media=a/>", "<SegmentURL media='a<'/>", "<SegmentURL media='a&b;'/>",
        "<SegmentURL media='a\"/>", "<SegmentURLmedia='a'/>", "<SegmentURL>", "<SegmentURL /"}) {
    const std::string document = mpd("<SegmentList>" + plain + bad + plain + "</SegmentList>");
    EXPECT_NE(outcome(document).problem, "") << bad;
  }
}

// Most of them are not parsed (plain_element.h).
TEST(MpdSegments, OtherElementsWithoutContentStay) {
  const std::string plain =
      "<Representation id='1' codecs=\"avc1.64001f,mp4a\" bandwidth='1'\n mimeType='video/mp4' />"
      "<SegmentTemplate media='$RepresentationID$/$Number%05d$.m4s' initialization='a/i.mp4'"
      " timescale='1'/>\n<Role schemeIdUri='urn:mpeg:dash:role:2011' value='main'/>";
  for (const std::string element :
       {"<SegmentTemplate media='$Time%0d$'/>", "<SegmentTemplate media='a%2fb'/>",
        "<SegmentTemplate media='%2e'/>", "<SegmentTemplate media='a/b?c=$Time$'/>",
        "<SegmentTemplate index='' media='a:'/>", "<Role/>", "<Representation x='1'/>",
        "<RepresentationIndex/>", "<Representation id='&lt;'/>", "<Representation id='\"'/>",
        "<Representation id='\xC3\xA9' media='/a'/>",
        "<Representation media='/a' value='http://x'/>", "<m:SegmentTemplate media='/a'/>",
        "<Roles value='x'/>"}) {
    EXPECT_EQ(rewritten_period(plain + element + plain), plain + element + plain);
  }
  for (const std::string name : {"media", "initialization", "index"}) {
    const std::string begin = plain + "<SegmentTemplate timescale='1' " + name + "='";
    const std::string end = "' duration='1'/>" + plain;
    for (const std::string path : {"a", "$Number%05d$.m4s", ".a", "..", "./a"}) {
      const std::string text = rewritten_period(begin + "/" + path + end);
      EXPECT_NE(text.find("='" + at("https/up.example/")), text.npos) << text;
    }
    EXPECT_EQ(rewritten_period(begin + "a/../../../../b" + end),
              begin + at("https/up.example/b") + end);
    EXPECT_EQ(rewritten_period(begin + "//h/$Time$" + end), begin + at("https/h/$Time$") + end);
  }
  EXPECT_EQ(rewritten_period("<Representation id='1' x:href='urn:x'/>" + plain),
            "<Representation id='1' x:href='urn:x'/>" + plain);
  EXPECT_NE(rewritten_period("<Representation id='1' x:href='r'/>").find("/at/"),
            std::string::npos);
  for (const std::string bad :
       {"<Representation id='1' id='1'/>", "<Representation id='1'id='1'/>",
        "<Representation id=1/>", "<Representation id='<'/>", "<Representation id='&b;'/>",
        "<Representation>", "<Representation id='1\"/>", "<Representation id/>",
        "<Representation id='\x01'/>"}) {
    EXPECT_NE(outcome(mpd(plain + bad + plain)).problem, "") << bad;
  }
  EXPECT_NE(outcome("<MPD><Period/></MPD>" + plain).problem, "");
  std::string deep = "<MPD>";
  for (int i = 0; i < 255; ++i) deep += "<a>";
  EXPECT_NE(outcome(deep + plain).problem, "");
}

TEST(MpdSegments, OnlySegmentsOfTheMpdBecomeLinks) {
  const std::string event =
      "<EventStream><Event><SegmentList><SegmentURL media='/a'/></SegmentList>"
      "</Event></EventStream>";
  EXPECT_EQ(rewritten_period(event), event);
  const std::string list = "<m:MPD><m:Period><m:SegmentList><SegmentURL media='/a'/>";
  const std::string end = "</m:SegmentList></m:Period></m:MPD>";
  const std::string text = rewrite(list + "<m:SegmentURL media='/a'/>" + end);
  EXPECT_NE(text.find("<SegmentURL media='/a'/><m:SegmentURL media='" + at("https/up.example/a")),
            text.npos)
      << text;
}

TEST(MpdSegments, SegmentsOfListsBelongToTheBaseAtTheirPlace) {
  const auto list = [](const std::string& more) {
    return "<SegmentList>" + more + "<SegmentURL media='/a'/><SegmentURL media='/b'/>" +
           "</SegmentList>";
  };
  const auto linked = [](const std::string& more, const std::string& host) {
    return "<SegmentList>" + more + "<SegmentURL media='" + at(host + "/a") +
           "'/><SegmentURL media='" + at(host + "/b") + "'/></SegmentList>";
  };
  const std::string url = "<BaseURL>http://c/v/</BaseURL>";
  const std::string link = "<BaseURL>" + at("http/c/v/") + "</BaseURL>";
  EXPECT_EQ(rewritten_period(list("") + "<Representation>" + url + list("") + "</Representation>" +
                             list("") + list(url)),
            linked("", "https/up.example") + "<Representation>" + link + linked("", "http/c") +
                "</Representation>" + linked("", "https/up.example") + linked(link, "http/c"));
  DocumentSetting quoted = kSetting;
  quoted.proxy_origin = "https://proxy/it's&";
  EXPECT_NE(rewrite(mpd(list("")), quoted).find("it&apos;s&amp;/at/-/https/up.example/b'"),
            std::string::npos);
}

}  // namespace
}  // namespace streamgate
