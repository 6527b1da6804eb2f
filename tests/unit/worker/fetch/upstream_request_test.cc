#include "worker/fetch/upstream_request.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/read_head.h"

namespace streamgate {
namespace {

struct UpstreamCase {
  std::string query{};  // behind `/stream?url=http://up.example:81/v/a.m3u8`
  HeaderFields client{};
  UpstreamConfig config{};
  Method method = Method::get;
  bool send_referer_and_origin = true;
  bool send_range = true;
  bool cross_origin = false;
};

ReadHead upstream_head(const UpstreamCase& with) {
  const auto request = parse_stream_request(
      "/stream?url=http%3A%2F%2Fup.example%3A81%2Fv%2Fa.m3u8%3Fk%3D1" + with.query);
  if (!request) {
    ADD_FAILURE() << with.query;
    return {};
  }
  RequestHead client;
  client.fields = with.client;
  const UpstreamAttempt attempt{request->upstream, with.method, with.send_referer_and_origin,
                                with.send_range, with.cross_origin};
  return read_head(write_upstream_request(attempt, *request, client, with.config));
}

TEST(UpstreamRequestTest, LooksLikeABrowserOnTheUpstreamsOwnPage) {
  const ReadHead head = upstream_head({});
  EXPECT_EQ(head.first_line, "GET /v/a.m3u8?k=1 HTTP/1.1");
  EXPECT_EQ(head.fields.front().first, "Host");
  EXPECT_EQ(head["Host"], "up.example:81");
  EXPECT_TRUE(head["User-Agent"].starts_with("Mozilla/5.0 ")) << head["User-Agent"];
  EXPECT_EQ(head["Referer"], "http://up.example:81/");
  EXPECT_EQ(head["Origin"], "http://up.example:81");
  EXPECT_EQ(head["Accept"], "*/*");
  EXPECT_EQ(head["Accept-Encoding"], "identity");
  EXPECT_EQ(head["Range"], "-");
  EXPECT_EQ(head["Connection"], "-");
  EXPECT_EQ(upstream_head({.method = Method::head}).first_line, "HEAD /v/a.m3u8?k=1 HTTP/1.1");
}

TEST(UpstreamRequestTest, ForwardsWhatTheAnswerDependsOnAndNothingElse) {
  const HeaderFields client = {
      {"range", "bytes=0-1"},         {"If-Range", "\"e\""},       {"If-None-Match", "\"a\""},
      {"If-None-Match", "\"b\""},     {"If-Modified-Since", "x"},  {"Accept", "video/*"},
      {"Accept-Language", "de"},      {"Accept-Encoding", "gzip"}, {"Cookie", "c"},
      {"Authorization", "a"},         {"User-Agent", "player"},    {"Referer", "http://page/"},
      {"X-Forwarded-For", "1.2.3.4"}, {"Upgrade", "h2c"}};
  ReadHead head = upstream_head({.client = client});
  EXPECT_EQ(head["Range"], "bytes=0-1");
  EXPECT_EQ(head["If-Range"], "\"e\"");
  EXPECT_EQ(head["If-None-Match"], "\"a\"|\"b\"");
  EXPECT_EQ(head["If-Modified-Since"], "x");
  EXPECT_EQ(head["Accept"], "video/*");
  EXPECT_EQ(head["Accept-Language"], "de");
  EXPECT_EQ(head["Accept-Encoding"], "identity");
  for (const char* name : {"Cookie", "Authorization", "X-Forwarded-For", "Upgrade"}) {
    EXPECT_EQ(head[name], "-") << name;
  }
  head = upstream_head({.client = client, .send_range = false});
  EXPECT_EQ(head["Range"], "-");
  EXPECT_EQ(head["If-Range"], "-");
  EXPECT_EQ(upstream_head({.client = {{"If-Range", "\"e\""}}})["If-Range"], "-");
  EXPECT_EQ(upstream_head({.client = {{"Range", "bytes=0-"}, {"Range", "bytes=1-"}}})["Range"],
            "bytes=0-");
  EXPECT_EQ(
      upstream_head({.client = {{"Range", "bytes=0-"}, {"Connection", "close, RANGE"}}})["Range"],
      "-");
}

TEST(UpstreamRequestTest, FollowsTheConfiguredPolicies) {
  using Kind = HeaderPolicy::Kind;
  UpstreamConfig config{};
  const HeaderFields client = {
      {"User-Agent", "player"}, {"Referer", "http://page/x"}, {"Origin", "http://page"}};
  config.user_agent = config.referer = config.origin = {Kind::client, {}};
  ReadHead head = upstream_head({.client = client, .config = config});
  EXPECT_EQ(head["User-Agent"] + head["Referer"] + head["Origin"],
            "playerhttp://page/xhttp://page");
  head = upstream_head({.config = config});
  EXPECT_EQ(head["User-Agent"] + head["Referer"] + head["Origin"], "---");
  config.user_agent = config.referer = config.origin = {Kind::none, {}};
  head = upstream_head({.client = client, .config = config});
  EXPECT_EQ(head["User-Agent"] + head["Referer"] + head["Origin"], "---");
  config.user_agent = config.referer = config.origin = {Kind::literal, "text"};
  head = upstream_head({.client = client, .config = config});
  EXPECT_EQ(head["User-Agent"] + head["Referer"] + head["Origin"], "texttexttext");
}

TEST(UpstreamRequestTest, LetsTheRefererParameterWin) {
  const std::string query = "&referer=https%3A%2F%2Fsite.example%2Fwatch";
  ReadHead head = upstream_head({.query = query});
  EXPECT_EQ(head["Referer"], "https://site.example/watch");
  EXPECT_EQ(head["Origin"], "https://site.example");
  UpstreamConfig config{};
  config.referer = config.origin = {HeaderPolicy::Kind::none, {}};
  head = upstream_head({.query = query, .config = config});
  EXPECT_EQ(head["Referer"], "https://site.example/watch");
  EXPECT_EQ(head["Origin"], "-");
  head = upstream_head({.query = query, .send_referer_and_origin = false});
  EXPECT_EQ(head["Referer"] + head["Origin"], "--");
}

TEST(UpstreamRequestTest, LetsHeaderParametersWinOverEverything) {
  const ReadHead head = upstream_head(
      {.query = "&h_user-agent=VLC&h_Referer=x&h_ORIGIN=y&h_Accept=z&h_X-Key=k&h_Cookie=c",
       .client = {{"Accept", "video/*"}}});
  EXPECT_EQ(head["User-Agent"], "VLC");
  EXPECT_EQ(head["Referer"], "x");
  EXPECT_EQ(head["Origin"], "y");
  EXPECT_EQ(head["Accept"], "z");
  EXPECT_EQ(head["X-Key"], "k");
  EXPECT_EQ(head["Cookie"], "c");
}

TEST(UpstreamRequestTest, KeepsSecretsFromOtherOrigins) {
  const ReadHead head =
      upstream_head({.query = "&h_authorization=a&h_COOKIE=c&h_X-Key=k", .cross_origin = true});
  EXPECT_EQ(head["Authorization"], "-");
  EXPECT_EQ(head["Cookie"], "-");
  EXPECT_EQ(head["X-Key"], "k");
}

}  // namespace
}  // namespace streamgate
