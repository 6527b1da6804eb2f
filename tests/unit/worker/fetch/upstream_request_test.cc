#include "worker/fetch/upstream_request.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/read_head.h"

namespace streamgate {
namespace {

struct Case {
  FetchRequest request = {Method::get, parse_http_url("http://up.example:81/v/a.m3u8?k=1").value()};
  UpstreamConfig config = {};
  std::vector<std::pair<std::string, std::string>> headers = {};  // of the host
  bool send_referer_and_origin = true;
  bool send_range = true;
  bool cross_origin = false;

  ReadHead head() const {
    const UpstreamAttempt attempt{request.url, send_referer_and_origin, send_range, cross_origin};
    return read_head(write_upstream_request(attempt, request, {config, headers}));
  }
};

TEST(UpstreamRequestTest, DefaultFieldsAreThoseOfABrowserOnTheUpstreamsSite) {
  Case with;
  const ReadHead head = with.head();
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
  with.request.method = Method::head;
  EXPECT_EQ(with.head().first_line, "HEAD /v/a.m3u8?k=1 HTTP/1.1");
}

TEST(UpstreamRequestTest, AHeaderWithAnEmptyValueIsNotSent) {
  Case with;
  for (const char* name : {"User-Agent", "referer", "Origin", "Accept", "X-A"}) {
    with.request.headers.emplace_back(name, "");
    EXPECT_EQ(with.head()[name], "-") << name;
  }
  EXPECT_EQ(with.head()["Host"], "up.example:81");
}

TEST(UpstreamRequestTest, TheAuthorizationOfARedirectReplacesTheRequests) {
  Case with;
  with.request.headers.emplace_back("authorization", "mine");
  UpstreamAttempt attempt{with.request.url};
  attempt.authorization = "Basic dTpw";
  EXPECT_EQ(
      read_head(write_upstream_request(attempt, with.request, {with.config}))["Authorization"],
      "Basic dTpw");
}

TEST(UpstreamRequestTest, CdnLoopIsSentAndViaIfItIsConfigured) {
  Case with;
  UpstreamAttempt attempt{with.request.url};
  attempt.cdn_loop = "a, b;by=streamgate";
  ReadHead head = read_head(write_upstream_request(attempt, with.request, {with.config}));
  EXPECT_EQ(head["CDN-Loop"], "a, b;by=streamgate");
  EXPECT_EQ(head["Via"], "-");
  with.config.send_via = true;
  head = read_head(write_upstream_request(attempt, with.request, {with.config}));
  EXPECT_EQ(head["Via"], "1.1 streamgate");
}

TEST(UpstreamRequestTest, ForwardedFieldsAreSent) {
  Case with;
  with.request.forwarded = {{"Accept", "video/*"},        {"Accept-Language", "de"},
                            {"Range", "bytes=0-1"},       {"If-Range", "\"e\""},
                            {"If-None-Match", "\"a\""},   {"If-None-Match", "\"b\""},
                            {"If-Modified-Since", "date"}};
  ReadHead head = with.head();
  EXPECT_EQ(head["Accept"], "video/*");
  EXPECT_EQ(head["Accept-Language"], "de");
  EXPECT_EQ(head["Range"], "bytes=0-1");
  EXPECT_EQ(head["If-Range"], "\"e\"");
  EXPECT_EQ(head["If-None-Match"], "\"a\"|\"b\"");
  EXPECT_EQ(head["If-Modified-Since"], "date");
  with.send_range = false;
  head = with.head();
  EXPECT_EQ(head["Range"] + head["If-Range"], "--");
  EXPECT_EQ(head["If-None-Match"], "\"a\"|\"b\"");
}

TEST(UpstreamRequestTest, IfRangeIsNotSentWithoutRange) {
  Case with;
  with.request.forwarded = {{"If-Range", "\"e\""}};
  EXPECT_EQ(with.head()["If-Range"], "-");
}

TEST(UpstreamRequestTest, TheRangeOfMissingBytesReplacesRangeAndConditions) {
  FetchRequest request = Case().request;
  request.forwarded = {{"Range", "bytes=0-1"}, {"If-None-Match", "\"a\""}};
  UpstreamAttempt attempt{request.url};
  attempt.our_range = "bytes=5-9";
  attempt.our_if_range = "\"v\"";
  const ReadHead head = read_head(write_upstream_request(attempt, request, {}));
  EXPECT_EQ(head["Range"], "bytes=5-9");
  EXPECT_EQ(head["If-Range"], "\"v\"");
  EXPECT_EQ(head["If-None-Match"], "-");
}

TEST(UpstreamRequestTest, ConfiguredPoliciesDecideUserAgentRefererAndOrigin) {
  using Kind = HeaderPolicy::Kind;
  Case with;
  UpstreamConfig& config = with.config;
  const auto sent = [&] {
    const ReadHead head = with.head();
    return head["User-Agent"] + head["Referer"] + head["Origin"];
  };
  config.user_agent = config.referer = config.origin = {Kind::client, {}};
  EXPECT_EQ(sent(), "---");
  with.request.forwarded = {
      {"User-Agent", "player"}, {"Referer", "http://page/x"}, {"Origin", "http://page"}};
  EXPECT_EQ(sent(), "playerhttp://page/xhttp://page");
  config.user_agent = config.referer = config.origin = {Kind::none, {}};
  EXPECT_EQ(sent(), "---");
  config.user_agent = config.referer = config.origin = {Kind::literal, "text"};
  EXPECT_EQ(sent(), "texttexttext");
}

TEST(UpstreamRequestTest, TheRequestsRefererWinsAndTheOriginFollowsIt) {
  Case with;
  with.request.referer = "https://site.example/watch";
  ReadHead head = with.head();
  EXPECT_EQ(head["Referer"], "https://site.example/watch");
  EXPECT_EQ(head["Origin"], "https://site.example");
  with.config.referer = with.config.origin = {HeaderPolicy::Kind::none, {}};
  head = with.head();
  EXPECT_EQ(head["Referer"], "https://site.example/watch");
  EXPECT_EQ(head["Origin"], "-");
  with.config = {};
  with.send_referer_and_origin = false;
  head = with.head();
  EXPECT_EQ(head["Referer"] + head["Origin"], "--");
}

TEST(UpstreamRequestTest, TheRequestsHeadersReplaceAllOthers) {
  Case with;
  with.request.headers = {{"user-agent", "VLC"}, {"Referer", "x"}, {"ORIGIN", "y"},
                          {"Accept", "z"},       {"X-Key", "k"},   {"Cookie", "c"}};
  with.request.forwarded = {{"Accept", "video/*"}};
  const ReadHead head = with.head();
  EXPECT_EQ(head["User-Agent"], "VLC");
  EXPECT_EQ(head["Referer"], "x");
  EXPECT_EQ(head["Origin"], "y");
  EXPECT_EQ(head["Accept"], "z");
  EXPECT_EQ(head["X-Key"], "k");
  EXPECT_EQ(head["Cookie"], "c");
}

TEST(UpstreamRequestTest, SecretHeadersStayWithTheirOrigin) {
  Case with;
  with.request.headers = {{"authorization", "a"}, {"COOKIE", "c"}, {"X-Key", "k"}};
  with.cross_origin = true;
  const ReadHead head = with.head();
  EXPECT_EQ(head["Authorization"], "-");
  EXPECT_EQ(head["Cookie"], "-");
  EXPECT_EQ(head["X-Key"], "k");
}

}  // namespace
}  // namespace streamgate
