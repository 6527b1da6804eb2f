// Several BaseURLs of one element: the player chooses one, by its priority, its weight, by content
// steering, or after a failure.
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/mpd_rewriting.h"

namespace streamgate {
namespace {

// The BaseURLs of `hosts`, as the upstream has them and as they are rewritten.
struct BaseUrls {
  std::string text;
  std::string links;
  BaseUrls& add(const std::string& url) {
    text += "<BaseURL>http://" + url + "</BaseURL>";
    links += "<BaseURL>" + at("http/" + url) + "</BaseURL>";
    return *this;
  }
};

TEST(MpdBaseUrls, RelativeReferencesStayBelowTheRootOfEachAlternative) {
  const BaseUrls bases = BaseUrls().add("a/x/y/").add("b/x/");
  EXPECT_EQ(rewritten_period(bases.text + "<SegmentURL media='../s' index='../../s'/>"),
            bases.links + "<SegmentURL media='../s' index='" + at("http/a/s") + "'/>");
  EXPECT_EQ(
      rewritten_period(bases.text + "<AdaptationSet><BaseURL>v/</BaseURL><BaseURL>../</BaseURL>"
                                    "<SegmentURL media='s' index='../s'/></AdaptationSet>"
                                    "<SegmentURL media='../s'/>"),
      bases.links +
          "<AdaptationSet><BaseURL>v/</BaseURL><BaseURL>../</BaseURL>"
          "<SegmentURL media='s' index='" +
          at("http/a/x/y/s") +
          "'/></AdaptationSet>"
          "<SegmentURL media='../s'/>");
}

// A link would lead to the first alternative only.
TEST(MpdBaseUrls, RootedReferencesStayOnTheHostOfEachAlternative) {
  const std::string list =
      "<SegmentList><SegmentURL media='/a'/><SegmentURL media=\"/b/c\"/>"
      "</SegmentList><SegmentTemplate media='/$Time$.m4s?x&amp;y'/>";
  const auto below = [](const std::string& root) {
    return "<SegmentList><SegmentURL media='" + root + "/a'/><SegmentURL media=\"" + root +
           "/b/c\"/></SegmentList><SegmentTemplate media='" + root + "/$Time$.m4s?x&amp;y'/>";
  };
  for (const auto& [directory, root] : {std::pair{"", "."}, {"v/", ".."}, {"v/w/x", "../.."}}) {
    const BaseUrls bases =
        BaseUrls().add("a/" + std::string(directory)).add("b/" + std::string(directory));
    EXPECT_EQ(rewritten_period(bases.text + list), bases.links + below(root));
  }
  const BaseUrls bases = BaseUrls().add("a/v/").add("b/w/");
  const std::string set = "<AdaptationSet><BaseURL>/x/y/</BaseURL>";
  EXPECT_EQ(rewritten_period(bases.text + set + list + "</AdaptationSet>"),
            bases.links + "<AdaptationSet><BaseURL>../x/y/</BaseURL>" + below("../..") +
                "</AdaptationSet>");
  const std::string mpd_level = bases.text + "<Period>" + list + "</Period></MPD>";
  EXPECT_EQ(rewrite("<MPD>" + mpd_level),
            "<MPD>" + bases.links + "<Period>" + below("..") + "</Period></MPD>");
}

TEST(MpdBaseUrls, OtherRootedReferencesBelongToTheFirst) {
  const std::string segment = "<SegmentURL media='/s'/>";
  const std::string link = "<SegmentURL media='" + at("http/a/s") + "'/>";
  const BaseUrls uneven = BaseUrls().add("a/x/").add("b/");
  EXPECT_EQ(rewritten_period(uneven.text + segment), uneven.links + link);
  const BaseUrls same = BaseUrls().add("a/x/").add("A/y/");
  EXPECT_EQ(rewritten_period(same.text + segment), same.links + link);
  const BaseUrls bases = BaseUrls().add("a/").add("b/");
  for (const auto& [written, made] : {std::pair{"//h/s", "http/h/s"},
                                      {"/../s", "http/a/s"},
                                      {"/s?sg_token=1", ""},
                                      {"/x\\s", "http/a/x/s"}}) {
    const std::string text = rewritten_period(bases.text + "<SegmentURL media='" + written + "'/>");
    EXPECT_TRUE(text.starts_with(bases.links + "<SegmentURL media='https://proxy/at/")) << text;
    if (*made != '\0') {
      EXPECT_NE(text.find("'" + at(made) + "'"), text.npos) << text;
    }
  }
  const std::string own = "<AdaptationSet><BaseURL>http://c/</BaseURL>" + segment;
  EXPECT_EQ(rewritten_period(bases.text + own + "</AdaptationSet>"),
            bases.links + "<AdaptationSet><BaseURL>" + at("http/c/") +
                "</BaseURL><SegmentURL media='" + at("http/c/s") + "'/></AdaptationSet>");
}

// As RootedReferences.., but the first BaseURL is not absolute in the spelling of RFC 3986.
TEST(MpdBaseUrls, TheSpellingOfBrowsersNamesTheBase) {
  for (const std::string written : {"\\\\c\\v\\", "http:\\\\c/v/", "http:///c/v/"}) {
    const DocumentSetting setting = setting_of("http://up.example/m.mpd");
    EXPECT_EQ(rewrite(mpd("<BaseURL>" + written +
                          "</BaseURL><SegmentURL media='/s' index='../s'/>"
                          "<SegmentURL media='../../s'/>"),
                      setting),
              "<MPD><BaseURL>" + at("http/up.example/") + "</BaseURL><Period><BaseURL>" +
                  at("http/c/v/") + "</BaseURL><SegmentURL media='" + at("http/c/s") +
                  "' index='../s'/><SegmentURL media='" + at("http/c/s") + "'/></Period></MPD>");
  }
}

}  // namespace
}  // namespace streamgate
