#include "worker/links/own_referer.h"

#include <gtest/gtest.h>

#include <string>

#include "worker/links/path_link.h"

namespace streamgate {
namespace {

std::string sent(std::string_view referer) {
  return referer_for_upstream(referer, parse_http_url("http://up.example/live/a.ts").value());
}

TEST(OwnRefererTest, ALinkBecomesTheOriginThatItNames) {
  const std::string link = "url=http%3A%2F%2Fup.example%2Flive%2Fi.m3u8%3Fk%3Dv&sg_token=a.b.c";
  for (const char* const front :
       {"http://proxy/stream?", "https://proxy:8443/stream/i.m3u8?", "http://proxy/tv/stream?",
        "http://proxy/api/proxy/stream?sg_grant=1.k.0.1.-.m&"}) {
    EXPECT_EQ(sent(front + link), "http://up.example/") << front;
  }
  const std::string carry = carry_of("&h_Authorization=secret", "http://up.example/");
  EXPECT_EQ(sent("http://proxy/at/" + carry + "/http/other.example:81/i.m3u8?sg_token=a.b.c"),
            "http://other.example:81/");
}

TEST(OwnRefererTest, AnUpstreamWithoutTlsLearnsNothingOfAPageWithTls) {
  EXPECT_EQ(sent("http://proxy/at/-/https/up.example/live/i.m3u8"), "");
}

TEST(OwnRefererTest, ALinkThatNamesNothingIsNotSent) {
  EXPECT_EQ(sent("http://proxy/stream?url=ftp%3A%2F%2Fup%2F&sg_token=x"), "");
  EXPECT_EQ(sent("http://proxy/at/%%%/http/up.example/a"), "");
}

TEST(OwnRefererTest, OtherPagesStay) {
  for (const char* const page :
       {"http://site.example/", "http://radio.example/stream", "http://radio.example/stream?url=fm",
        "http://site.example/at/home", "http://site.example/?back=/stream?url=http://a/",
        "/stream?url=http%3A%2F%2Fa%2F", ""}) {
    EXPECT_EQ(sent(page), page);
  }
}

TEST(OwnRefererTest, ALinkIsSoughtInAFewSegments) {
  const std::string link = "/stream?url=http%3A%2F%2Fup.example%2Fa&sg_token=x";
  const std::string page = "http://proxy" + std::string(14, '/');
  EXPECT_EQ(sent(page + link), "http://up.example/");
  EXPECT_EQ(sent(page + std::string(40, '/') + link), "");
}

}  // namespace
}  // namespace streamgate
