#include "worker/links/same_origin_query.h"

#include <gtest/gtest.h>

#include <string>

namespace streamgate {
namespace {

const std::string kOrigin = "https://up.example:8443";

std::string taken(std::string path_and_query, const std::string& origin) {
  take_same_origin_query(origin, path_and_query);
  return path_and_query;
}

TEST(SameOriginQuery, OnlyTheOriginOfTheMarkGetsTheParameters) {
  const std::string begin = same_origin_begin(kOrigin);
  const std::string end(kSameOriginEnd);
  const std::string once = begin + "t=a%2Bb&u" + end;
  EXPECT_EQ(taken("/s?v=1&" + once + "&w", kOrigin), "/s?v=1&t=a%2Bb&u&w");
  EXPECT_EQ(taken("/s?v=1&" + once + "&w", "https://up.example"), "/s?v=1&w");
  EXPECT_EQ(taken("/s?" + once, kOrigin), "/s?t=a%2Bb&u");
  EXPECT_EQ(taken("/s?" + once, "http://other"), "/s");
  EXPECT_EQ(taken("/s?" + once + "&" + once, kOrigin), "/s?t=a%2Bb&u&t=a%2Bb&u");
  EXPECT_EQ(taken("/s?" + begin + "t", "http://other"), "/s");
  EXPECT_EQ(taken("/s?" + begin + "t", kOrigin), "/s?t");
}

TEST(SameOriginQuery, TheMarksOfAnotherStreamgateStay) {
  const std::string end(kSameOriginEnd);
  const std::string inner = same_origin_begin("http://inner") + "t=1" + end;
  const std::string both = "/s?" + same_origin_begin(kOrigin) + inner + end + "&w";
  EXPECT_EQ(taken(both, kOrigin), "/s?" + inner + "&w");
  EXPECT_EQ(taken(both, "http://inner"), "/s?w");
  for (const std::string plain : {"/s", "/s?", "/s?a&&b=&", "/sg_same_origin=/s?sg_same_end=1"}) {
    EXPECT_EQ(taken(plain, kOrigin), plain);
  }
}

}  // namespace
}  // namespace streamgate
