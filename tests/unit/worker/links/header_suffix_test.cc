#include "worker/links/header_suffix.h"

#include <gtest/gtest.h>

#include <string>

namespace streamgate {
namespace {

struct Cut {
  std::string url;
  LinkContext link;
};

Cut cut(const std::string& text) {
  Cut out;
  out.url = cut_header_suffix(text, out.link);
  return out;
}

TEST(HeaderSuffix, BeginsAtTheFirstBarThatANameFollows) {
  for (const char* text : {"u|A=1", "u|A =1", "u| A=1", "u|A=1&", "u|A=\"1\"", "u|!A=1", "u |A=1",
                           "u||A=1", "u| |\t| A=1"}) {
    const Cut found = cut(text);
    EXPECT_EQ(found.url, "u") << text;
    ASSERT_EQ(found.link.headers.size(), 1U) << text;
    EXPECT_EQ(found.link.headers[0], std::pair(std::string("A"), std::string("1"))) << text;
  }
  for (const char* text : {"u|", "u| ", "u||"}) EXPECT_EQ(cut(text).url, "u");
  EXPECT_EQ(cut("u|b|c|A=1").url, "u|b|c");
  for (const char* text : {"u", "u|b", "u|b/c=d", "u|=b", "u||=b", "u|a b=c", "u|b|c"}) {
    EXPECT_EQ(cut(text).url, text);
  }
}

TEST(HeaderSuffix, InAQueryTheNameIsLikeThatOfAHeader) {
  for (const char* text : {"u?a=b|exp=1", "u?a|sig=b|exp=1&acl=c", "u|b?c|d=e"}) {
    EXPECT_EQ(cut(text).url, text);
  }
  EXPECT_EQ(cut("u?a|exp=1|X-A=b").url, "u?a|exp=1");
  for (const char* name : {"A", "a-b", "referer", "cookie", "!a", "verifypeer"}) {
    EXPECT_EQ(cut("u?a=b|" + std::string(name) + "=1").url, "u?a=b") << name;
  }
  EXPECT_EQ(cut("u|a=1?b").url, "u");
}

TEST(HeaderSuffix, KodiRequestsTheUrlInFrontOfTheFirstBar) {
  EXPECT_EQ(before_bar("http://h/a.ts|b|c"), "http://h/a.ts");
  EXPECT_EQ(before_bar("http://h/a.ts |b"), "http://h/a.ts");
  EXPECT_EQ(before_bar("h/a.ts|b?c=d"), "h/a.ts");
  for (const char* url : {"http://h/a.ts", "http://h/a|b/c.ts", "http://h/a.ts|http://h/b.ts",
                          "http://h/a.ts?b=c|d/e", "http://u|p@h", "http://u|p@h/a.ts", ""}) {
    EXPECT_EQ(before_bar(url), "") << url;
  }
}

TEST(HeaderSuffix, ReadsABoundedPartOfALongLine) {
  std::string bars;
  for (int i = 0; i < 63; ++i) bars += "|;";
  EXPECT_EQ(cut("u" + bars + "|A=1").url, "u" + bars);
  EXPECT_EQ(cut("u" + bars + "|;|A=1").url, "u" + bars + "|;|A=1");
  // A run of bars counts once.
  EXPECT_EQ(cut("u" + std::string(100, '|') + ";|A=1").url, "u" + std::string(100, '|') + ";");
  const Cut found = cut("u|A=1&" + std::string(size_t{32} * 1024, '&') + "B=1");
  EXPECT_EQ(found.url, "u");
  EXPECT_EQ(found.link.headers.size(), 1U);
}

}  // namespace
}  // namespace streamgate
