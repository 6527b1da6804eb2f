#include "worker/links/logged_link.h"

#include <gtest/gtest.h>

#include <string>

namespace streamgate {
namespace {

std::string logged_url(const std::string& url) {
  std::string out;
  append_logged_url(url, out);
  return out;
}

TEST(LoggedRoute, OurOwnRoutesAreWhole) {
  for (const char* const path : {"/", "/stream", "/api/proxy/stream", "/health", "/ready",
                                 "/page/app.js", "/api/proxy/page/players/hls.mjs", "/stream/"}) {
    EXPECT_EQ(logged_route(path), path);
    EXPECT_EQ(logged_route(std::string(path) + "?url=http://h/SECRET"), path);
  }
}

TEST(LoggedRoute, ANameInALinkMayBeAToken) {
  for (const char* const name : {"eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "secret", "a%2Fb", "x.m3u8"}) {
    EXPECT_EQ(logged_route("/stream/" + std::string(name) + "?url=x"), "/stream/*") << name;
    EXPECT_EQ(logged_route("/api/proxy/stream/" + std::string(name)), "/api/proxy/stream/*");
  }
}

TEST(LoggedRoute, APrefixOfAFrontMayBeASecret) {
  EXPECT_EQ(logged_route("/u/alice-7d1f0c9e/strem?url=x"), "/*/*/*");
  EXPECT_EQ(logged_route("/u/alice/stream?url=x"), "/*/*/stream");
  EXPECT_EQ(logged_route("/u/alice/"), "/*/*/");
  EXPECT_EQ(logged_route("/alice/stream/secret"), "/*/stream/*");
  EXPECT_EQ(logged_route("/alice/at/U0VDUkVU/http/h/a"), "/*/at");
}

TEST(LoggedRoute, ALinkOfThePathFormEndsWithItsRoute) {
  EXPECT_EQ(logged_route("/at/U0VDUkVU/http/h/a?b"), "/at");
  EXPECT_EQ(logged_route("/api/proxy/at/U0VDUkVU/http/h/a"), "/api/proxy/at");
}

TEST(LoggedRoute, OneWordIsShownAndWhatLooksLikeATokenIsNot) {
  EXPECT_EQ(logged_route("/favicon.ico"), "/favicon.ico");
  EXPECT_EQ(logged_route("/wp-login.php?a"), "/wp-login.php");
  for (const char* const segment : {"7d1f0c9e", "Secret", "a;token=x", "me:secret@h", "a#secret",
                                    "a=secret", "%73ecret", "abcdefghijklmnopqrstuvwxyz"}) {
    EXPECT_EQ(logged_route("/" + std::string(segment)), "/*");
  }
  EXPECT_EQ(logged_route("http://me:secret@h/secret"), "*//*/*");
  EXPECT_EQ(logged_route("*"), "*");
}

TEST(LoggedRoute, ALongPathIsCut) {
  std::string path;
  for (int i = 0; i < 10'000; ++i) path += "/a";
  EXPECT_LE(logged_route(path).size(), 130u);
  EXPECT_EQ(logged_route("/" + std::string(10'000, 'a')), "/*");
}

TEST(LoggedUrl, TheSecretsInThePathOfALinkAreMasked) {
  EXPECT_EQ(logged_url("https://h/u/alice/stream/secret?url=http://x/&sg_token=secret"),
            "https://h/*/*/stream/*?url=*&sg_token=*");
  EXPECT_EQ(logged_url("https://me:secret@h/stream?url=x"), "https://*@h/stream?url=*");
  EXPECT_EQ(logged_url("https://h/alice/at/U0VDUkVU/http/x/a?k=secret"),
            "https://h/*/at/*/http/x/a?k=*");
  EXPECT_EQ(logged_url("https://h/at/-/http/x/a"), "https://h/at/-/http/x/a");
  EXPECT_EQ(logged_url("/alice/stream/secret?url=x"), "/*/stream/*?url=*");
  std::string deep = "https://h";
  for (int i = 0; i < 20; ++i) deep += "/secret";
  EXPECT_EQ(logged_url(deep + "/stream?url=x"), "https://h/*");
}

TEST(LoggedUrl, AnyOtherUrlIsRedactedAsUsual) {
  for (const char* const url : {"https://h/u/alice/", "https://h/stream?id=x", "https://h", "",
                                "text", "/a/b", "https://h/at/work/httpd/at/x"}) {
    EXPECT_EQ(logged_url(url), std::string(url).substr(0, std::string(url).find('?')) +
                                   (std::string(url).ends_with("id=x") ? "?id=*" : ""));
  }
}

}  // namespace
}  // namespace streamgate
