#include "worker/links/public_origin.h"

#include <gtest/gtest.h>

namespace streamgate {
namespace {

TEST(PublicOriginTest, PrefersPublicUrlThenForwardedFieldsThenHost) {
  RequestHead client;
  EXPECT_EQ(public_origin(client, "http", true, ""), "");
  client.fields = {{"Host", "h.example:8080"}};
  EXPECT_EQ(public_origin(client, "http", true, ""), "http://h.example:8080");
  client.fields.push_back({"X-Forwarded-Proto", "HTTPS, http"});
  client.fields.push_back({"X-Forwarded-Host", " tv.example , inner"});
  client.fields.push_back({"X-Forwarded-Prefix", "/proxy/"});
  EXPECT_EQ(public_origin(client, "http", true, ""), "https://tv.example/proxy");
  EXPECT_EQ(public_origin(client, "http", false, ""), "http://h.example:8080");
  EXPECT_EQ(public_origin(client, "http", true, "https://set.example/x"), "https://set.example/x");
  EXPECT_EQ(public_origin(client, "https", false, ""), "https://h.example:8080");
}

TEST(PublicOriginTest, IgnoresForwardedValuesThatAreNotPlain) {
  const auto origin = [](const char* name, const char* value) {
    RequestHead client;
    client.fields = {{"Host", "h"}, {name, value}};
    return public_origin(client, "http", true, "");
  };
  for (const char* host : {"", "a b", "a/b", "u@h", "a\"", "h:x", "a'b", "a$b", "%41"}) {
    EXPECT_EQ(origin("X-Forwarded-Host", host), "http://h") << host;
  }
  EXPECT_EQ(origin("X-Forwarded-Host", "[::1]:8443"), "http://[::1]:8443");
  for (const char* scheme : {"", "ftp", "javascript", "https:"})
    EXPECT_EQ(origin("X-Forwarded-Proto", scheme), "http://h");
  for (const char* prefix : {"", "/", "proxy", "//evil", "/a//b", "/a?b", "/a b", "/a\"", "/%2e",
                             "/../x", "/x/..", "/a/./b", "/.", "/a/../b/"}) {
    EXPECT_EQ(origin("X-Forwarded-Prefix", prefix), "http://h") << prefix;
  }
  EXPECT_EQ(origin("X-Forwarded-Prefix", "/a/b.c"), "http://h/a/b.c");
  EXPECT_EQ(origin("X-Forwarded-Prefix", "/.a/..b/c../..."), "http://h/.a/..b/c../...");
  RequestHead client;
  client.fields = {{"Host", "h=\"x"}};
  EXPECT_EQ(public_origin(client, "http", true, ""), "");
}

}  // namespace
}  // namespace streamgate
