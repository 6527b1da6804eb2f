#include "worker/cache/key.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace streamgate {
namespace {

constexpr std::string_view kUrl = "http://a.example/live/1.ts?k=v";

FetchRequest request_for(std::string_view url) {
  FetchRequest out;
  out.url = *parse_http_url(url);
  return out;
}

std::string shared_url(std::string_view url) {
  return shared_request(request_for(url)).url.path_and_query;
}

TEST(CacheKey, EverythingThatGoesUpstreamCounts) {
  const FetchRequest plain = request_for(kUrl);
  const auto key = cache_key(plain, 1);
  ASSERT_TRUE(key);
  EXPECT_EQ(key, cache_key(plain, 1));
  EXPECT_NE(key, cache_key(plain, 2)) << "another configuration";
  const auto differs = [&](auto change) {
    FetchRequest other = plain;
    change(other);
    return cache_key(other, 1) != key;
  };
  EXPECT_TRUE(differs([](FetchRequest& r) { r.url.is_https = true; }));
  EXPECT_TRUE(differs([](FetchRequest& r) { r.url.port = 81; }));
  EXPECT_TRUE(differs([](FetchRequest& r) { r.url.path_and_query += "&w"; }));
  EXPECT_TRUE(differs([](FetchRequest& r) { r.cookies = "YT0x"; }));
  EXPECT_TRUE(differs([](FetchRequest& r) { r.referer = ""; }));
  EXPECT_TRUE(differs([](FetchRequest& r) { r.headers.emplace_back("X", "1"); }));
  EXPECT_TRUE(differs([](FetchRequest& r) { r.forwarded.push_back({"Accept", "a/b"}); }));
  EXPECT_TRUE(differs([](FetchRequest& r) { r.player_agent = "VLC"; }));
  EXPECT_TRUE(differs([](FetchRequest& r) { r.cdn_loop = "cdn.example"; }));
  EXPECT_TRUE(differs([](FetchRequest& r) { r.is_blocking = true; })) << "another time limit";
  EXPECT_TRUE(differs([](FetchRequest& r) { r.may_reconnect = true; })) << "goes on after its end";
  EXPECT_TRUE(differs([](FetchRequest& r) {
    r.alternatives.push_back({*parse_http_url("http://b.example/"), {}});
  }));
  EXPECT_TRUE(
      differs([](FetchRequest& r) { r.before_bar = *parse_http_url("http://a.example/"); }));
  const std::vector<TargetPattern> allow{*TargetPattern::parse("a.example")};
  EXPECT_TRUE(differs([&](FetchRequest& r) { r.allow = &allow; }));
}

TEST(CacheKey, TextsAreNotReadAsOneAnother) {
  FetchRequest one = request_for(kUrl);
  FetchRequest other = one;
  one.headers = {{"A", "1"}, {"B", "2"}};
  other.headers = {{"A", "1B2"}};
  EXPECT_NE(cache_key(one, 1), cache_key(other, 1));
  one.headers = {{"Accept", "x"}};
  other.headers.clear();
  other.forwarded = {{"Accept", "x"}};
  EXPECT_NE(cache_key(one, 1), cache_key(other, 1));
}

TEST(CacheKey, RangesConditionsAndReportsDoNotCountAndAreNotSent) {
  FetchRequest asked = request_for("http://a.example/live/1.ts?CMCD=br%3D1&k=v");
  for (const std::string_view name :
       {"Range", "If-Range", "If-None-Match", "If-Modified-Since", "X-Playback-Session-Id",
        "CMCD-Object", "CMCD-Request", "CMCD-Session", "CMCD-Status"}) {
    asked.forwarded.push_back({name, "x"});
  }
  asked.forwarded.push_back({"Accept", "a/b"});
  asked.before_bar = asked.url;
  FetchRequest plain = request_for(kUrl);
  plain.forwarded = {{"Accept", "a/b"}};
  plain.before_bar = plain.url;
  EXPECT_EQ(cache_key(plain, 1), cache_key(asked, 1));
  const FetchRequest sent = shared_request(asked);
  ASSERT_EQ(1U, sent.forwarded.size());
  EXPECT_EQ("Accept", sent.forwarded[0].name);
  EXPECT_EQ(plain.url, sent.url);
  EXPECT_EQ(plain.before_bar, sent.before_bar);
}

TEST(CacheKey, ReportsAreLeftOutOfTheQueryOnly) {
  EXPECT_EQ("/", shared_url("http://a/?CMCD=1"));
  EXPECT_EQ("/?b", shared_url("http://a/?CMCD=1&b"));
  EXPECT_EQ("/?a", shared_url("http://a/?a&CMCD=1"));
  EXPECT_EQ("/?a&b", shared_url("http://a/?a&CMCD=1&b"));
  EXPECT_EQ("/?b", shared_url("http://a/?CMCD=1&CMCD=2&b&CMCD="));
  for (const std::string_view url : {"/CMCD=1", "/?XCMCD=1", "/?CMCDX=1", "/?a=CMCD=1", "/?"}) {
    EXPECT_EQ(url, shared_url("http://a" + std::string(url)));
  }
}

TEST(CacheKey, RequestsWithSecretsOfTheirOwnHaveNone) {
  const auto has_key = [](auto change) {
    FetchRequest request = request_for(kUrl);
    change(request);
    return cache_key(request, 1).has_value();
  };
  EXPECT_FALSE(has_key([](FetchRequest& r) { r.method = Method::head; }));
  EXPECT_FALSE(has_key([](FetchRequest& r) { r.headers.emplace_back("authorization", "x"); }));
  EXPECT_FALSE(has_key([](FetchRequest& r) { r.headers.emplace_back("Cookie", "x"); }));
  EXPECT_FALSE(has_key([](FetchRequest& r) { r.forwarded.push_back({"Icy-MetaData", "1"}); }));
  EXPECT_FALSE(has_key([](FetchRequest& r) {
    r.alternatives.push_back({*parse_http_url("http://b.example/"), "Basic eA=="});
  }));
}

}  // namespace
}  // namespace streamgate
