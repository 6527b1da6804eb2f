#include "worker/links/url_scope.h"

#include <gtest/gtest.h>

#include <string>

#include "common/url_path.h"

namespace streamgate {
namespace {

HttpUrl url_of(std::string_view text) {
  auto url = parse_http_url(text);
  EXPECT_TRUE(url) << text;
  return *url;
}

TEST(UrlScope, PathsThatAnUpstreamMayReadDifferentlyAreAmbiguous) {
  for (const std::string_view path :
       {"/a/../b",         "/a/..",           "/./b",        "/a/%2e%2e/b", "/a/%2E./b",
        "/a/..%2Fb",       "/a/..%2fb",       "/a/..%5cb",   "/a/..\\b",    "/a/..;x=1/b",
        "/a/%2e%2e%3bx/b", "/a/%252e%252e/b", "/a/..%252Fb", "/a/.%2e",     "/a/%2e",
        "/a/b%2f..%2fc",   "/a/..%3fb/c",     "/a/..%23/c",  "/a/..%00/c",  "/a/%2e%2e%253f"}) {
    EXPECT_TRUE(is_ambiguous_path(path)) << path;
  }
  for (const std::string_view path :
       {"/", "/a/b.ts", "/a/.hidden", "/a/...", "/a/..b", "/a%2Fb", "/a/b;x=..", "/a/%20", "/a/%",
        "/a/%2", "/a//b", "/a/x%2Ey"}) {
    EXPECT_FALSE(is_ambiguous_path(path)) << path;
  }
}

TEST(UrlScope, CountsDirectories) {
  EXPECT_EQ(directory_depth("/"), 0U);
  EXPECT_EQ(directory_depth("/a"), 0U);
  EXPECT_EQ(directory_depth("/a/"), 1U);
  EXPECT_EQ(directory_depth("/live/user/seg.ts"), 2U);
}

TEST(UrlScope, IsTheOriginAndTheFirstDirectories) {
  const HttpUrl url = url_of("https://cdn.example:8443/live/user/seg.ts?a=/b/");
  EXPECT_EQ(scope_of(url, 0), "https://cdn.example:8443/");
  EXPECT_EQ(scope_of(url, 1), "https://cdn.example:8443/live/");
  EXPECT_EQ(scope_of(url, 2), "https://cdn.example:8443/live/user/");
}

TEST(UrlScope, OnlyUrlsBelowAScopeAreInIt) {
  const std::string scope = "https://cdn.example/live/";
  EXPECT_TRUE(is_in_scope(url_of("https://cdn.example/live/a/b.ts"), scope));
  EXPECT_TRUE(is_in_scope(url_of("https://cdn.example:443/live/"), scope));
  for (const std::string_view text :
       {"https://cdn.example/live", "https://cdn.example/liver/a", "https://cdn.example/",
        "http://cdn.example/live/a", "https://cdn.example:444/live/a",
        "https://cdn.example.org/live/a", "https://cdn.example/live/%2e%2e/a"}) {
    EXPECT_FALSE(is_in_scope(url_of(text), scope)) << text;
  }
}

TEST(UrlScope, MayBeOnePathAlone) {
  const HttpUrl url = url_of("https://h/live/a.ts?x=1");
  const std::string scope = scope_of(url, directory_depth(url.path()) + 1);
  EXPECT_EQ(scope, "https://h/live/a.ts?");
  EXPECT_TRUE(is_in_scope(url_of("https://h/live/a.ts?y"), scope));
  for (const char* other :
       {"https://h/live/a.tsx", "https://h/live/a.ts/b", "https://h/live/", "http://h/live/a.ts"}) {
    EXPECT_FALSE(is_in_scope(url_of(other), scope)) << other;
  }
}

}  // namespace
}  // namespace streamgate
