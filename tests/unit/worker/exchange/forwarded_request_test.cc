#include "worker/exchange/forwarded_request.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace streamgate {
namespace {

FetchRequest request_of(const HeaderFields& client, const UpstreamConfig& config = {}) {
  RequestHead head;
  head.method = Method::head;
  head.fields = client;
  LinkContext link;
  link.referer = "https://site.example/";
  link.headers = {{"X-Key", "k"}};
  return make_fetch_request(parse_http_url("http://up.example/v/a.m3u8").value(), link, head,
                            config);
}

// All forwarded fields, as `name=value` with blanks between them.
std::string forwarded(const HeaderFields& client, const UpstreamConfig& config = {}) {
  std::string out;
  for (const auto& [name, value] : request_of(client, config).forwarded) {
    out += out.empty() ? "" : " ";
    out += std::string(name) + "=" + value;
  }
  return out;
}

TEST(ForwardedRequestTest, UrlRefererAndHeadersComeFromTheLinkAndTheMethodFromTheClient) {
  const FetchRequest request = request_of({});
  EXPECT_EQ(request.method, Method::head);
  EXPECT_EQ(request.url.to_string(), "http://up.example/v/a.m3u8");
  EXPECT_EQ(request.referer, "https://site.example/");
  ASSERT_EQ(request.headers.size(), 1U);
  EXPECT_EQ(request.headers[0].second, "k");
  EXPECT_TRUE(request.forwarded.empty());
}

TEST(ForwardedRequestTest, AHostOfAKeyMayGetTheFieldsOfTheClient) {
  RequestHead head;
  head.fields = {{"User-Agent", "player"}, {"Referer", "http://page/"}};
  std::vector<UpstreamHost> hosts(1);
  hosts[0].user_agent = HeaderPolicy{HeaderPolicy::Kind::client, {}};
  const HttpUrl url = parse_http_url("http://up.example/").value();
  const auto request = make_fetch_request(url, {}, head, {}, &hosts);
  ASSERT_EQ(request.forwarded.size(), 1U);
  EXPECT_EQ(request.forwarded[0].value, "player");
}

TEST(ForwardedRequestTest, DocumentsAreRequestedAsAWhole) {
  RequestHead head;
  head.fields = {{"Range", "bytes=5-9"}, {"If-Range", "\"e\""}};
  const auto count = [&](const std::string& url, LinkKind kind) {
    LinkContext link;
    link.kind = kind;
    return make_fetch_request(parse_http_url(url).value(), link, head, {}).forwarded.size();
  };
  EXPECT_EQ(count("http://h/a.MPD?x", LinkKind::any), 0U);
  for (const LinkKind kind :
       {LinkKind::steering, LinkKind::chapters, LinkKind::patch, LinkKind::remote}) {
    EXPECT_EQ(count("http://h/a", kind), 0U);
  }
  EXPECT_EQ(count("http://h/a", LinkKind::assets), 2U);
  EXPECT_EQ(count("http://h/a.m3u8", LinkKind::any), 2U);
  EXPECT_EQ(count("http://h/a.mpd/b.mp4?.mpd", LinkKind::any), 2U);
}

TEST(ForwardedRequestTest, OnlyRangeConditionsAndNegotiationAreForwarded) {
  EXPECT_EQ(forwarded({{"range", "bytes=0-1"},
                       {"If-Range", "\"e\""},
                       {"If-None-Match", "\"a\""},
                       {"If-None-Match", "\"b\""},
                       {"If-Modified-Since", "x"},
                       {"Accept", "video/*"},
                       {"Accept-Language", "de"},
                       {"Accept-Encoding", "gzip"},
                       {"icy-metadata", "1"},
                       {"Cookie", "c"},
                       {"Authorization", "a"},
                       {"User-Agent", "player"},
                       {"Referer", "http://page/"},
                       {"X-Forwarded-For", "1.2.3.4"},
                       {"Upgrade", "h2c"}}),
            "Range=bytes=0-1 If-Range=\"e\" If-None-Match=\"a\" If-None-Match=\"b\" "
            "If-Modified-Since=x Accept=video/* Accept-Language=de Icy-MetaData=1");
}

TEST(ForwardedRequestTest, TakesAllLinesOfCdnLoopAlsoIfConnectionNamesIt) {
  EXPECT_EQ(request_of({}).cdn_loop, "");
  EXPECT_EQ(
      request_of({{"Connection", "cdn-loop"}, {"CDN-Loop", "a;b=c"}, {"cdn-loop", "d"}}).cdn_loop,
      "a;b=c, d");
}

TEST(ForwardedRequestTest, TakesTheEndOfATooLongCdnLoop) {
  const std::string many(2 * FetchRequest::kMaxCdnLoopBytes, 'x');
  const std::string taken = request_of({{"CDN-Loop", many}, {"CDN-Loop", "last"}}).cdn_loop;
  EXPECT_EQ(taken.size(), FetchRequest::kMaxCdnLoopBytes);
  EXPECT_TRUE(taken.ends_with("x, last"));
}

TEST(ForwardedRequestTest, OnlyTheFirstOfARepeatedFieldThatIsNotAListIsForwarded) {
  EXPECT_EQ(forwarded({{"Range", "bytes=0-"}, {"Range", "bytes=1-"}}), "Range=bytes=0-");
}

TEST(ForwardedRequestTest, FieldsThatConnectionNamesAreNotForwarded) {
  EXPECT_EQ(forwarded({{"Range", "bytes=0-"}, {"Accept", "a"}, {"Connection", "close, RANGE"}}),
            "Accept=a");
}

TEST(ForwardedRequestTest, PolicyClientForwardsUserAgentRefererAndOrigin) {
  UpstreamConfig config;
  config.user_agent = config.referer = config.origin = {HeaderPolicy::Kind::client, {}};
  EXPECT_EQ(forwarded({{"User-Agent", "player"}, {"Referer", "http://p/x"}, {"Origin", "http://p"}},
                      config),
            "User-Agent=player Referer=http://p/x Origin=http://p");
}

}  // namespace
}  // namespace streamgate
