#include "worker/documents/dash/mpd_rewriter.h"

#include <gtest/gtest.h>

#include <ctime>
#include <string>
#include <utility>

#include "tests/unit/mpd_rewriting.h"
#include "worker/http/base64.h"

namespace streamgate {
namespace {
TEST(MpdRewriter, AddsABaseUrlInFrontOfTheFirstPeriod) {
  EXPECT_EQ(rewrite("<?xml version=\"1.0\"?>\r\n<!-- a -->\n<MPD type='static'>\n  <Period/>\n"
                    "  <Period id='2'/>\n</MPD>\n"),
            "<?xml version=\"1.0\"?>\r\n<!-- a -->\n<MPD type='static'>\n  " + kBase +
                "<Period/>\n  <Period id='2'/>\n</MPD>\n");
  EXPECT_EQ(rewrite("<MPD><ProgramInformation/></MPD>"),
            "<MPD><ProgramInformation/>" + kBase + "</MPD>");
  EXPECT_EQ(rewrite("<MPD/>"), "<MPD/>");
  EXPECT_EQ(rewrite("<m:MPD xmlns:m='urn:mpeg:dash:schema:mpd:2011'><m:Period/></m:MPD>"),
            "<m:MPD xmlns:m='urn:mpeg:dash:schema:mpd:2011'><m:BaseURL>" +
                at("https/up.example/live/a/") + "</m:BaseURL><m:Period/></m:MPD>");
}

TEST(MpdRewriter, MakesEachBaseUrlOfTheMpdAbsolute) {
  EXPECT_EQ(rewrite("<MPD><BaseURL>dash/</BaseURL><BaseURL serviceLocation=\"b\">\n "
                    "http://B.example:81/x?a=1&amp;b=2 </BaseURL><Period/></MPD>"),
            "<MPD><BaseURL>" + at("https/up.example/live/a/dash/") +
                "</BaseURL><BaseURL serviceLocation=\"b\">" +
                at("http/B.example:81/x?a=1&amp;b=2") + "</BaseURL><Period/></MPD>");
  EXPECT_EQ(rewrite("<MPD><BaseURL><![CDATA[//c/d?x&y]]></BaseURL><Period/></MPD>"),
            "<MPD><BaseURL>" + at("https/c/d?x&amp;y") + "</BaseURL><Period/></MPD>");
  EXPECT_EQ(rewrite("<MPD><BaseURL>a&#x2F;b<!-- c -->/</BaseURL></MPD>"),
            "<MPD><BaseURL>" + at("https/up.example/live/a/a/b/") + "</BaseURL></MPD>");
}

// ffmpeg appends a slash to it.
TEST(MpdRewriter, AnEmptyBaseUrlOfTheMpdIsTheDirectoryOfTheMpd) {
  const std::string url = at("https/up.example/live/a/");
  for (const std::string tag : {"<BaseURL/>", "<BaseURL></BaseURL>", "<BaseURL> </BaseURL>"}) {
    EXPECT_EQ(rewrite("<MPD>" + tag + "</MPD>"), "<MPD><BaseURL>" + url + "</BaseURL></MPD>");
    EXPECT_EQ(rewrite("<MPD><BaseURL>/</BaseURL><Period>" + tag + "</Period></MPD>"),
              "<MPD><BaseURL>" + at("https/up.example/") + "</BaseURL><Period>" + tag +
                  "</Period></MPD>");
  }
}

TEST(MpdRewriter, RelativeReferencesBelowTheMpdStay) {
  const std::string_view period =
      "<BaseURL>video/</BaseURL><AdaptationSet><SegmentTemplate media='../$RepresentationID$/"
      "$Time%05d$.m4s?x=/&amp;y' initialization=\"a:b/../i.mp4\" index='' />"
      "<Representation><BaseURL>v1 \xC3\xA9.mp4</BaseURL><SegmentList><SegmentURL media='?a' "
      "index='12:30'/></SegmentList></Representation></AdaptationSet>";
  EXPECT_EQ(rewritten_period(std::string(period).replace(period.find("a:b"), 3, "a_b")),
            std::string(period).replace(period.find("a:b"), 3, "a_b"));
}

TEST(MpdRewriter, RootedAndAbsoluteReferencesBecomeLinks) {
  EXPECT_EQ(rewritten_period("<SegmentTemplate media=\"/$Number%05d$.m4s?a=1&amp;b='$Bandwidth$'\" "
                             "initialization='//h/i?a&apos;b'/>"),
            "<SegmentTemplate media=\"" +
                at("https/up.example/$Number%05d$.m4s?a=1&amp;b='$Bandwidth$'") +
                "\" initialization='" + at("https/h/i?a&apos;b") + "'/>");
  EXPECT_EQ(
      rewritten_period("<BaseURL>http://cdn:8080/x/y</BaseURL><AdaptationSet><BaseURL>../z/"
                       "</BaseURL><SegmentTemplate media='/a/$Time$'/></AdaptationSet>"
                       "<AdaptationSet><BaseURL>//other/</BaseURL><Initialization sourceURL='/i'/>"
                       "</AdaptationSet><RepresentationIndex sourceURL='/r'/>"),
      "<BaseURL>" + at("http/cdn:8080/x/y") +
          "</BaseURL><AdaptationSet><BaseURL>../z/"
          "</BaseURL><SegmentTemplate media='" +
          at("http/cdn:8080/a/$Time$") + "'/></AdaptationSet><AdaptationSet><BaseURL>" +
          at("http/other/") + "</BaseURL><Initialization sourceURL='" + at("http/other/i") +
          "'/></AdaptationSet><RepresentationIndex sourceURL='" + at("http/cdn:8080/r") + "'/>");
  EXPECT_EQ(rewritten_period("<SegmentURL media='../../../x' index='../../x'/>"),
            "<SegmentURL media='" + at("https/up.example/x") + "' index='../../x'/>");
  EXPECT_EQ(rewritten_period("<SegmentURL media='\\x' index='a\\b'/>"),
            "<SegmentURL media='" + at("https/up.example/x") + "' index='" +
                at("https/up.example/live/a/a/b") + "'/>");
}

TEST(MpdRewriter, ReferencesWithoutAPathBelongToTheDocument) {
  EXPECT_EQ(
      rewritten_period("<SegmentURL media='?a'/><BaseURL>v.mp4</BaseURL><SegmentURL media='?b'/>"),
      "<SegmentURL media='" + at("https/up.example/live/a/manifest.mpd?a") +
          "'/><BaseURL>v.mp4</BaseURL><SegmentURL media='?b'/>");
}

TEST(MpdRewriter, OtherDocumentsAreFoundFromTheUrlOfTheMpd) {
  const std::string before =
      "<BaseURL>http://cdn/</BaseURL><Location>next.mpd?a&amp;b</Location><PatchLocation ttl='1'>"
      "/p</PatchLocation><ContentSteering proxyServerURL='//s/p'>https://s/dash.dcsm"
      "</ContentSteering><UTCTiming schemeIdUri='urn:mpeg:dash:utc:http-xsdate:2014' value='t "
      "http://clock/?x'/><UTCTiming schemeIdUri='urn:mpeg:dash:utc:direct:2014' value='http://no'/>"
      "<SupplementalProperty schemeIdUri='urn:mpeg:dash:mpd-chaining:2016' value='n.mpd'/>"
      "<EssentialProperty schemeIdUri='urn:other' value='http://no/'/>";
  EXPECT_EQ(rewrite("<MPD>" + before +
                    "<Period xlink:href='p.xml'/><Period xlink:href="
                    "'urn:mpeg:dash:resolve-to-zero:2013'/></MPD>"),
            "<MPD><BaseURL>" + at("http/cdn/") + "</BaseURL><Location>" +
                at("https/up.example/live/a/next.mpd?a&amp;b") +
                "</Location><PatchLocation ttl='1'>" +
                noted("patch", "https://up.example/live/a/manifest.mpd http://cdn/",
                      "https/up.example/p") +
                "</PatchLocation><ContentSteering proxyServerURL='" +
                carrying("sg_k=steering", "https/s/p") + "'>" +
                carrying("sg_k=steering", "https/s/dash.dcsm") +
                "</ContentSteering><UTCTiming schemeIdUri='urn:mpeg:dash:utc:http-xsdate:2014' "
                "value='" +
                at("https/up.example/live/a/t") + " " + at("http/clock/?x") +
                "'/><UTCTiming schemeIdUri='urn:mpeg:dash:utc:direct:2014' value='http://no'/>"
                "<SupplementalProperty schemeIdUri='urn:mpeg:dash:mpd-chaining:2016' value='" +
                at("https/up.example/live/a/n.mpd") +
                "'/><EssentialProperty schemeIdUri='urn:other' value='http://no/'/><Period "
                "xlink:href='" +
                noted("remote", "https://up.example/live/a/manifest.mpd http://cdn/",
                      "https/up.example/live/a/p.xml") +
                "'/><Period xlink:href='urn:mpeg:dash:resolve-to-zero:2013'/></MPD>");
}

TEST(MpdRewriter, TheNextManifestOfAChainComesThroughUs) {
  for (const std::string scheme :
       {"urn:mpeg:dash:chaining:2016", "urn:mpeg:dash:mpd-chaining:2016"}) {
    const std::string next = "<SupplementalProperty schemeIdUri='" + scheme + "' value='";
    EXPECT_EQ(rewrite(mpd("", "<BaseURL>http://c/</BaseURL>" + next + "https://h/n.mpd'/>" + next +
                                  "n.mpd,PT1S'/>")),
              mpd("", "<BaseURL>" + at("http/c/") + "</BaseURL>" + next + at("https/h/n.mpd") +
                          "'/>" + next + at("https/up.example/live/a/n.mpd,PT1S") + "'/>"));
  }
}

// ISO/IEC 23009-4. Unlike licences, these keys are files.
TEST(MpdRewriter, KeysOfSegmentsAreResolvedAsSegments) {
  const std::string begin =
      "<ContentProtection schemeIdUri='urn:mpeg:dash:sea:2012'><sea:SegmentEncryption "
      "schemeIdUri='urn:mpeg:dash:sea:aes128-cbc:2013'/><sea:CryptoPeriod IV='0x0' "
      "keyUriTemplate='";
  const std::string middle = "'/><CryptoTimeline keyUriTemplate='k.bin' ivUriTemplate='";
  const std::string end = "'/></ContentProtection>";
  EXPECT_EQ(
      rewritten_period(begin + "https://k.example/?kid=1&amp;$Number$" + middle + "/iv" + end),
      begin + at("https/k.example/?kid=1&amp;$Number$") + middle + at("https/up.example/iv") + end);
}

TEST(MpdRewriter, PrincipalsOfInitializationSetsComeThroughUs) {
  EXPECT_EQ(rewritten_period("<AdaptationSet initializationPrincipal='https://h/i.mp4'/>"
                             "<AdaptationSet initializationPrincipal='i.mp4'/>"),
            "<AdaptationSet initializationPrincipal='" + at("https/h/i.mp4") +
                "'/><AdaptationSet initializationPrincipal='i.mp4'/>");
}

TEST(MpdRewriter, FallbacksAndNestedClocksAreFoundFromTheUrlOfTheMpd) {
  const std::string fallback =
      "<EssentialProperty schemeIdUri='urn:mpeg:dash:fallback:2016' value='";
  const std::string clock =
      "<ProducerReferenceTime><UTCTiming schemeIdUri='urn:mpeg:dash:utc:http-ntp:2014' value='";
  EXPECT_EQ(rewritten_period("<BaseURL>http://c/</BaseURL>" + fallback + "f.mpd'/>" + clock +
                             "/t'/></ProducerReferenceTime>"),
            "<BaseURL>" + at("http/c/") + "</BaseURL>" + fallback +
                at("https/up.example/live/a/f.mpd") + "'/>" + clock + at("https/up.example/t") +
                "'/></ProducerReferenceTime>");
}

TEST(MpdRewriter, AlternativeManifestsInEventsComeThroughUs) {
  EXPECT_EQ(
      rewritten_period("<EventStream><Event><ReplacePresentation url='ad.mpd' x='/y'/></Event>"
                       "</EventStream><SegmentURL media='/s'/>"),
      "<EventStream><Event><ReplacePresentation url='" + at("https/up.example/live/a/ad.mpd") +
          "' x='/y'/></Event></EventStream><SegmentURL media='" + at("https/up.example/s") + "'/>");
}

TEST(MpdRewriter, TheBaseUrlOfAnEventStreamHoldsForItsEvents) {
  const std::string event = "<Event><InsertPresentation uri='";
  EXPECT_EQ(rewritten_period("<BaseURL>http://c/</BaseURL><EventStream><BaseURL>https://ads/x/"
                             "</BaseURL>" +
                             event + "ad.mpd'/></Event></EventStream><EventStream>" + event +
                             "ad.mpd'/></Event></EventStream>"),
            "<BaseURL>" + at("http/c/") + "</BaseURL><EventStream><BaseURL>" + at("https/ads/x/") +
                "</BaseURL>" + event + at("https/ads/x/ad.mpd") +
                "'/></Event></EventStream><EventStream>" + event +
                at("https/up.example/live/a/ad.mpd") + "'/></Event></EventStream>");
}

TEST(MpdRewriter, TheQueryOfTheMpdIsWrittenOutForEachElementThatTakesIt) {
  for (const std::string name :
       {"up:UrlQueryInfo", "up:ExtUrlQueryInfo", "up:ExtHttpHeaderInfo", "RequestParam"}) {
    EXPECT_EQ(rewritten_period("<" + name + " useMPDUrlQuery=' 1 '/>"),
              "<" + name + " useMPDUrlQuery='false' queryString='tok=x/y'/>");
  }
}

TEST(MpdRewriter, TheQueryOfTheMpdIsWrittenOut) {
  const std::string period =
      "<up:UrlQueryInfo queryTemplate='$querypart$' useMPDUrlQuery=\"true\"/>"
      "<up:ExtUrlQueryInfo queryString='a&amp;b' useMPDUrlQuery='true'/>"
      "<up:UrlQueryInfo useMPDUrlQuery='false'/>";
  EXPECT_EQ(rewritten_period(period),
            "<up:UrlQueryInfo queryTemplate='$querypart$' useMPDUrlQuery=\"false\" "
            "queryString=\"tok=x/y\"/><up:ExtUrlQueryInfo queryString='tok=x/y&amp;a&amp;b' "
            "useMPDUrlQuery='false'/><up:UrlQueryInfo useMPDUrlQuery='false'/>");
  DocumentSetting by_path = kSetting;
  by_path.own_carry = "-";
  const std::string text = rewrite(mpd(period), by_path);
  EXPECT_NE(text.find(period), text.npos) << text;
}

TEST(MpdRewriter, AQueryThatIsRemoteKeepsItsOtherAttributes) {
  const std::string href =
      "xlink:href='" + noted("remote", "https://up.example/live/a/manifest.mpd .", "https/o/q?a");
  for (const std::string name : {"UrlQueryInfo", "up:UrlQueryInfo"}) {
    EXPECT_EQ(rewritten_period("<" + name + " xlink:href='https://o/q?a' queryString='a'/>"),
              "<" + name + " " + href + "' queryString='a'/>");
    EXPECT_EQ(rewritten_period("<" + name + " xlink:href='https://o/q?a' useMPDUrlQuery='true' " +
                               "queryString='a&b'/>"),
              "<" + name + " " + href + "' useMPDUrlQuery='false' queryString='tok=x/y&amp;a&b'/>");
  }
}

// To the player all links have one origin.
TEST(MpdRewriter, AQueryForTheOriginOfTheMpdIsMarked) {
  const std::string begin = "sg_same_origin=https%3A%2F%2Fup.example&amp;";
  const std::string end = "&amp;sg_same_end=1";
  EXPECT_EQ(rewritten_period("<up:ExtUrlQueryInfo sameOriginOnly='true' useMPDUrlQuery='true' "
                             "queryTemplate='$querypart$'/>"
                             "<RequestParam queryString='a=1' sameOriginOnly='1'/>"),
            "<up:ExtUrlQueryInfo sameOriginOnly='true' useMPDUrlQuery='false' queryString='" +
                begin + "tok=x/y" + end +
                "' queryTemplate='$querypart$'/><RequestParam queryString='" + begin + "a=1" + end +
                "' sameOriginOnly='1'/>");
  EXPECT_EQ(rewritten_period("<RequestParam queryTemplate='t=$query:t$' queryString='a=1' "
                             "useMPDUrlQuery='true' sameOriginOnly='true'/>"),
            "<RequestParam queryTemplate='" + begin + "t=$query:t$" + end +
                "' queryString='tok=x/y&amp;a=1' useMPDUrlQuery='false' sameOriginOnly='true'/>");
  for (const std::string stays :
       {"<RequestParam queryString='a' sameOriginOnly='false'/>",
        "<RequestParam queryString='a' header='X' sameOriginOnly='true'/>",
        "<up:ExtHttpHeaderInfo queryString='a' sameOriginOnly='true'/>",
        "<RequestParam queryTemplate='$querypart$' sameOriginOnly='true'/>"}) {
    EXPECT_EQ(rewritten_period(stays), stays);
  }
  DocumentSetting by_path = kSetting;
  by_path.own_carry = "-";
  const std::string text =
      rewrite(mpd("<RequestParam useMPDUrlQuery='true' sameOriginOnly='true'/>"), by_path);
  EXPECT_NE(text.find("queryString='" + begin + "tok=x/y" + end), text.npos) << text;
}

TEST(MpdRewriter, LicencesAndForeignElementsStay) {
  const std::string period =
      "<ContentProtection schemeIdUri=\"urn:uuid:x\"><dashif:Laurl>https://l/</dashif:Laurl>"
      "<ms:laurl "
      "licenseUrl=\"https://l/?a&amp;b\"/><cenc:pssh>AAAA/+==</cenc:pssh><x:BaseURL "
      "xlink:href='/a'>http://b/"
      "</x:BaseURL><mspr:pro>AAAA/+==</mspr:pro></ContentProtection><Metrics "
      "metrics='x'><Reporting "
      "schemeIdUri='urn:dvb:dash:reporting:2014' dvb:reportingUrl='http://r/'/></Metrics>"
      "<EventStream><Event><Location>https://l/</Location></Event>"
      "</EventStream><Label>http://l/</Label>";
  EXPECT_EQ(rewritten_period(period), period);
  const std::string before =
      "<BaseURL>data:x</BaseURL><ProgramInformation "
      "moreInformationURL='http://i/'/>";
  EXPECT_EQ(rewrite(mpd("", before)), mpd("", before));
}

TEST(MpdRewriter, LinksOfOursStay) {
  const std::string before =
      "<BaseURL>https://proxy/at/-/http/h/</BaseURL><Location>"
      "https://proxy/stream?url=http%3A%2F%2Fh%2F</Location>";
  EXPECT_EQ(rewrite(mpd("", before)), mpd("", before));
}

TEST(MpdRewriter, CommentsAndCdataHoldNoElements) {
  const std::string period =
      "<!-- <BaseURL>http://x/</BaseURL> --><Label><![CDATA[<SegmentURL "
      "media='/x'/>]]></Label>";
  EXPECT_EQ(rewritten_period(period), period);
}

TEST(MpdRewriter, LinksCarryTheContextOfTheirHost) {
  DocumentSetting setting = kSetting;
  setting.same_origin_parameters = "&h_Cookie=c&h_X=1";
  setting.other_origin_parameters = "&h_X=1";
  const auto carry = [](std::string_view text) {
    std::string out;
    append_base64url(text, out);
    return out;
  };
  const std::string own = carry("sg_scope=https%3A%2F%2Fup.example%2F&h_Cookie=c&h_X=1");
  EXPECT_EQ(rewrite("<MPD><Period><BaseURL>http://b/</BaseURL><SegmentURL media='/x' "
                    "index='HTTPS://UP.example:443/y'/></Period></MPD>",
                    setting),
            "<MPD><BaseURL>https://proxy/at/" + own +
                "/https/up.example/live/a/</BaseURL><Period>"
                "<BaseURL>https://proxy/at/" +
                carry("h_X=1") +
                "/http/b/</BaseURL><SegmentURL "
                "media='https://proxy/at/" +
                carry("h_X=1") + "/http/b/x' index='https://proxy/at/" + own +
                "/https/UP.example:443/y'/></Period></MPD>");
}

TEST(MpdRewriter, UserinfoBecomesPartOfTheCarry) {
  const std::string text = rewrite("<MPD><BaseURL>http://u:p@b/</BaseURL></MPD>");
  EXPECT_EQ(text.find("u:p"), text.npos) << text;
  EXPECT_TRUE(text.ends_with("/http/b/</BaseURL></MPD>")) << text;
}

// A link without it would take the upstream's parameter for a token of this proxy.
TEST(MpdRewriter, LinksSayThatATokenIsTheUpstreams) {
  const auto raw = [](std::string_view rest) { return carrying("sg_raw=1", rest); };
  EXPECT_EQ(rewritten_period("<BaseURL>http://c/?sg_token=1</BaseURL>"
                             "<SegmentTemplate media='$Time$.m4s?a&amp;sg_token=$Time$' "
                             "initialization='i.mp4?sg_grant=1' index='/x?my_sg_token=1'/>"),
            "<BaseURL>" + raw("http/c/?sg_token=1") + "</BaseURL><SegmentTemplate media='" +
                raw("http/c/$Time$.m4s?a&amp;sg_token=$Time$") +
                "' initialization='i.mp4?sg_grant=1' index='" + at("http/c/x?my_sg_token=1") +
                "'/>");
  const DocumentSetting setting = setting_of("https://up.example/m.mpd?sg_token=1");
  EXPECT_EQ(rewrite("<MPD><Period/></MPD>", setting),
            "<MPD><BaseURL>" + raw("https/up.example/") + "</BaseURL><Period/></MPD>");
}

TEST(MpdRewriter, FontsAreResolvedAsSegments) {
  const std::string begin = "<BaseURL>http://c/</BaseURL>";
  const std::string link = "<BaseURL>" + at("http/c/") + "</BaseURL>";
  const std::string font =
      "<SupplementalProperty schemeIdUri='urn:dvb:dash:fontdownload:2014' "
      "value='1' dvb:url='";
  const std::string other = "<EssentialProperty schemeIdUri='urn:x' value='1' dvb:url='/f'/>";
  EXPECT_EQ(rewritten_period(begin + font + "/f.woff'/>" + font + "f.woff'/>" + other),
            link + font + at("http/c/f.woff") + "'/>" + font + "f.woff'/>" + other);
}

TEST(MpdRewriter, OnlyStaticManifestsCarryNewCookies) {
  DocumentSetting setting = kSetting;
  setting.has_new_cookies = true;
  setting.same_origin_parameters_with_cookies = "&sg_c=YWI";
  const std::string with = rewrite("<MPD type=\"static\"><Period/></MPD>", setting);
  EXPECT_NE(with.find("/at/c2dfYz1ZV0k/"), with.npos) << with;
  const std::string live = rewrite("<MPD type=\"dynamic\"><Period/></MPD>", setting);
  EXPECT_NE(live.find("/at/-/"), live.npos) << live;
}

TEST(MpdRewriter, DotSegmentsThatClientsResolveAreResolvedFirst) {
  EXPECT_EQ(rewritten_period("<SegmentURL media='http://h/%2e%2e/x'/>"),
            "<SegmentURL media='" + at("http/h/x") + "'/>");
}

TEST(MpdRewriter, OtherRootsPassUnchanged) {
  for (const std::string text :
       {"<Patch><add><BaseURL>/x</BaseURL></add></Patch>", "<html><p>&nbsp;",
        "<mpd><Period/></mpd>",
        "<?xml version='1.0'?><Period><BaseURL>http://x/</BaseURL></Period>"}) {
    EXPECT_EQ(rewrite(text), text);
  }
}

TEST(MpdRewriter, RefusesMalformedXmlAndTypeDeclarations) {
  for (const std::string text :
       {"<!DOCTYPE MPD><MPD/>", "<!DOCTYPE MPD [<!ENTITY a 'b'>]><MPD>&a;</MPD>", "<MPD>&a;</MPD>",
        "<MPD><a></MPD>", "<MPD>", "<MPD a=1/>", "<MPD/><MPD/>", "<MPD a='1' a='1'/>",
        "<MPD>\x01</MPD>"}) {
    EXPECT_NE(outcome(text).problem, "") << text;
  }
  std::string deep;
  for (int i = 0; i < 300; ++i) deep += "<a>";
  MpdRewriter rewriter;
  EXPECT_NE(run(rewriter, kSetting, "<MPD>" + deep, 4096, 4096).problem, "");
}

TEST(MpdRewriter, AcceptsPredefinedEntitiesAndCharacterReferences) {
  const std::string period = "<Label a='&lt;&gt;&amp;&quot;&apos;&#65;'>&lt;&#x42;</Label>";
  EXPECT_EQ(rewritten_period(period), period);
}

// An error in XML, but the parsers of some players accept it.
TEST(MpdRewriter, AcceptsAmpersandsThatBeginNoReference) {
  EXPECT_EQ(rewritten_period("<BaseURL>http://h/?a=1&b=2&amp;c&#61;3&</BaseURL><SegmentTemplate "
                             "media='/s?x&y=$Time$' index='i?a&b'/><Label>R&B &;</Label>"),
            "<BaseURL>" + at("http/h/?a=1&amp;b=2&amp;c=3&amp;") +
                "</BaseURL><SegmentTemplate media='" + at("http/h/s?x&amp;y=$Time$") +
                "' index='i?a&b'/><Label>R&B &;</Label>");
  const std::string name = "&" + std::string(50, 'n');
  EXPECT_EQ(rewritten_period("<SegmentURL media='/" + name + ";'/><!-- & --><![CDATA[&]]>"),
            "<SegmentURL media='" + at("https/up.example/&amp;" + name.substr(1)) +
                ";'/><!-- & --><![CDATA[&]]>");
}

TEST(MpdRewriter, AUrlThatStaysInAListKeepsItsEntities) {
  const std::string clock = "<UTCTiming schemeIdUri='urn:mpeg:dash:utc:http-iso:2014' value='";
  EXPECT_EQ(rewritten_period(clock + "http://t/ urn:a&lt;b&amp;&apos;c'/>"),
            clock + at("http/t/") + " urn:a&lt;b&amp;&apos;c'/>");
}

TEST(MpdRewriter, AcceptsThePrologsOfRealManifests) {
  const std::string mark = "\xEF\xBB\xBF";
  EXPECT_EQ(rewrite(mark + "<?xml version='1.0' encoding='utf-8'?><MPD/>"),
            mark + "<?xml version='1.0' encoding='utf-8'?><MPD/>");
  EXPECT_EQ(rewrite("\n <?xml version='1.0'?>\n<MPD/>"), "\n <?xml version='1.0'?>\n<MPD/>");
  EXPECT_EQ(rewrite("<?xml version='1.0' encoding='utf-16'?><MPD/>"),
            "<?xml version='1.0' encoding='UTF-8'?><MPD/>");
  EXPECT_EQ(rewrite("<?xml version='1.0' encoding='windows-1252'?><MPD a='\xE9\x93'/>"),
            "<?xml version='1.0' encoding='windows-1252'?><MPD a='\xE9\x93'/>");
}

TEST(MpdRewriter, RefusesADocumentWithTooManyNames) {
  std::string text = "<MPD>";
  for (int i = 0; text.size() < 4'000'000; ++i) {
    const std::string number = std::to_string(i);
    text += "<e" + number + " a" + number + "=''/>";
  }
  MpdRewriter rewriter;
  EXPECT_NE(run(rewriter, kSetting, text, 65536, 65536).problem, "");
  EXPECT_EQ(run(rewriter, kSetting, "<MPD/>", 6, 6).text, "<MPD/>");
}

TEST(MpdRewriter, ALongTagInSingleBytesTakesNoQuadraticTime) {
  const std::string text = "<MPD><Label a='" + std::string(200'000, 'x') + "'/></MPD>";
  MpdRewriter rewriter;
  const std::clock_t began = std::clock();
  EXPECT_EQ(run(rewriter, kSetting, text, 1, 1).problem, "");
  EXPECT_LT(std::clock() - began, 5 * CLOCKS_PER_SEC);  // 0.1 s; quadratic time would be a minute
  const std::string longer = "<MPD><Label a='" + std::string(3'000'000, 'x') + "'/></MPD>";
  EXPECT_NE(run(rewriter, kSetting, longer, 4096, 4096).problem, "");
}

// Its references are resolved against the URL of the document.
TEST(MpdRewriter, ABaseUrlThatStaysIsCostlyIfTheUrlIsLong) {
  const DocumentSetting setting = setting_of("https://h/" + std::string(5000, 'p') + "/m.mpd");
  MpdRewriter rewriter;
  const std::string period = "<Period><BaseURL>x/</BaseURL></Period>";
  run(rewriter, setting, "<MPD><BaseURL>y/</BaseURL>" + period + period + "</MPD>", 4096, 4096);
  EXPECT_GE(rewriter.costly_bytes(), size_t{4} * 5000);  // the first one has a link
}

TEST(MpdRewriter, LimitsTheMemoryForNestedElements) {
  std::string bases = "<MPD>";
  for (int i = 0; i < 20; ++i) bases += "<P><BaseURL>" + std::string(3000, 'x') + "/</BaseURL>";
  std::string nested = "<MPD>";
  for (int i = 0; i < 20; ++i) nested += "<P><BaseURL>x/</BaseURL>";
  std::string text = "<MPD><BaseURL>";
  for (int i = 0; i < 100'000; ++i) text += "<x/>";
  for (const auto& [large, problem] : {std::pair{bases, "a BaseURL is longer than 16 KiB"},
                                       std::pair{nested, "the BaseURLs are nested too deeply"},
                                       std::pair{text, "a URL is longer than 64 KiB"}}) {
    MpdRewriter rewriter;
    EXPECT_EQ(run(rewriter, kSetting, large, 4096, 4096).problem, problem);
    EXPECT_LT(rewriter.memory_bytes(), size_t{1024} * 1024);
  }
}

TEST(MpdRewriter, StopsWhenTheOutputIsFull) {
  std::string text = "<MPD><Period>";
  for (int i = 0; i < 1000; ++i) text += "<SegmentURL media='/a'/>";
  text += "</Period></MPD>";
  MpdRewriter rewriter;
  rewriter.begin(kSetting);
  BlockBuffer out;
  const size_t taken = rewriter.write(text, out, 1);
  EXPECT_LE(taken, size_t{4} * 1024);
  EXPECT_GE(out.size(), 1U);
  EXPECT_GT(rewriter.costly_bytes(), 0U);
}

TEST(MpdRewriter, TheLinksOfOnePieceHaveALimit) {
  DocumentSetting setting = kSetting;
  setting.same_origin_parameters = "&h_X=" + std::string(8000, 'x');
  std::string text = "<MPD><Period>";
  for (int i = 0; i < 300; ++i) text += "<BaseURL>/</BaseURL>";
  MpdRewriter rewriter;
  rewriter.begin(setting);
  BlockBuffer out;
  rewriter.write(text, out, SIZE_MAX);
  EXPECT_TRUE(rewriter.has_grown_too_far());
}

}  // namespace
}  // namespace streamgate
