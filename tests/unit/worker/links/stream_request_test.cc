#include "worker/links/stream_request.h"

#include <gtest/gtest.h>

#include <string>

namespace streamgate {
namespace {

// The upstream URL of a target, or the token of the failure.
std::string upstream_of(const std::string& target) {
  const auto request = parse_stream_request(target);
  return request ? request->upstream.to_string() : std::string(token_of(request.error().reason));
}
std::string with_query(const std::string& query) { return upstream_of("/stream?" + query); }

// The upstream URL if `url` is `http://h/a<upstream_query>` and the parameters `more` follow.
std::string with_more(const std::string& upstream_query, const std::string& more) {
  std::string url;
  percent_encode("http://h/a" + upstream_query, url);
  return with_query("url=" + url + "&" + more);
}

std::string headers_of(const std::string& more) {
  const auto request = parse_stream_request("/stream?url=http://h/&" + more);
  if (!request) return std::string(token_of(request.error().reason));
  std::string text;
  for (const auto& [name, value] : request->link.headers) text += name + "=" + value + ";";
  return text;
}

TEST(RouteTest, ComparesWholePaths) {
  for (const char* target : {"/stream", "/stream?url=x", "/stream/a.m3u8?url=x", "/stream/",
                             "/api/proxy/stream", "/api/proxy/stream/x.ts"}) {
    EXPECT_EQ(route_of(target), Route::stream) << target;
  }
  EXPECT_EQ(route_of("/health"), Route::health);
  EXPECT_EQ(route_of("/health?x"), Route::health);
  for (const char* target :
       {"/", "*", "", "/streamX", "/stream/a/b", "/Stream", "/api/proxy", "/health/", "/healthz",
        "//stream", "/api/proxy/stream2?url=/stream"}) {
    EXPECT_EQ(route_of(target), Route::none) << target;
  }
}

TEST(StreamRequestTest, RoutePathHasNoFurtherSegment) {
  EXPECT_EQ(parse_stream_request("/stream?url=http://h/")->route_path, "/stream");
  EXPECT_EQ(parse_stream_request("/stream/a.m3u8?url=http://h/")->route_path, "/stream");
  EXPECT_EQ(parse_stream_request("/api/proxy/stream/x?url=http://h/")->route_path,
            "/api/proxy/stream");
}

TEST(StreamRequestTest, DecodesTheUrlExactlyOnce) {
  EXPECT_EQ(with_query("url=http%3A%2F%2Fh%3A81%2Fa%252Fb%3Fx%3D%2526%2B"),
            "http://h:81/a%2Fb?x=%26+");
  EXPECT_EQ(with_query("url=http://h/a+b%2Bc%zz"), "http://h/a+b+c%zz");
  EXPECT_EQ(with_query("a=1&%75rl=http%3a//h/&b"), "http://h/?a=1&b");
}

TEST(StreamRequestTest, RefusesUnusableUrls) {
  for (const char* query :
       {"", "x=1", "url", "url=", "url=&url=http://h/", "url=http://h/&url=http://h/",
        "url=http://h/&%75%72%6c=http://h/", "url=ftp://h/", "url=h/a", "url=http%253A%252F%252Fh/",
        "url=http://h/%0d%0aX:%20y", "url=http://h/%00", "URL=http://h/"}) {
    EXPECT_EQ(with_query(query), "bad_url") << query;
  }
  EXPECT_EQ(upstream_of("/stream"), "bad_url");
}

TEST(StreamRequestTest, AcceptsAUrlOfAnyLength) {
  const std::string long_path(200'000, 'a');
  EXPECT_EQ(with_query("url=http://h/" + long_path), "http://h/" + long_path);
}

TEST(StreamRequestTest, TrimsBlanksAndLineEndsAroundTheUrl) {
  for (const char* url : {"%20http://h/a%20%0A", "%0d%0a%09http%3A%2F%2Fh%2Fa%0c%20",
                          " \thttp://h/a\t ", "http://h/a%0D%0A"}) {
    EXPECT_EQ(with_query("url=" + std::string(url)), "http://h/a") << url;
  }
  EXPECT_EQ(with_query("url=http://h/a+"), "http://h/a+");
  EXPECT_EQ(with_query("url=+http://h/a"), "bad_url");
  EXPECT_EQ(with_query("url=http://h/a%0Ab"), "bad_url");
  EXPECT_EQ(with_query("url=%20"), "bad_url");
}

TEST(StreamRequestTest, AcceptsUrlsAsBrowsersDo) {
  EXPECT_EQ(with_query("url=http:%5C%5Ch%5Ca?%5C"), "http://h/a?%5C");
  EXPECT_EQ(with_query("url=http:/h/a"), "http://h/a");
  EXPECT_EQ(with_query("url=https:h/../a"), "https://h/../a");
  EXPECT_EQ(with_query("url=http://%E7%9B%B4%E6%92%AD.example/a"), "http://xn--z6ut02b.example/a");
  EXPECT_EQ(with_query("url=http://h%EF%BC%8Fevil/"), "bad_url");
  EXPECT_EQ(with_query("url=http://%EF%BC%90x7f.1/"), "bad_url");
}

TEST(StreamRequestTest, TakesHeadersFromTheUrl) {
  EXPECT_EQ(headers_of("url2=x"), "");
  const auto headers = [](const std::string& query) {
    const auto request = parse_stream_request("/stream?url=" + query);
    if (!request) return std::string(token_of(request.error().reason));
    std::string text = request->upstream.to_string() + " ";
    for (const auto& [name, value] : request->link.headers) text += name + "=" + value + ";";
    return text + request->link.referer.value_or("");
  };
  EXPECT_EQ(headers("http://u:p%2540@h/"), "http://h/ Authorization=Basic dTpwQA==;");
  EXPECT_EQ(headers("http://@h/"), "http://h/ ");
  EXPECT_EQ(headers("http://u:p@h/%7Cauthorization=x"), "http://h/ Authorization=x;");
  EXPECT_EQ(headers("http://u:p@h/&h_authorization=x"), "http://h/ authorization=x;");
  EXPECT_EQ(headers("http://h/a|User-Agent=A%252Fb&Referer=http://r/&x=1"),
            "http://h/a?x=1 User-Agent=A/b;http://r/");
  EXPECT_EQ(headers("http://h/a%7CUser-Agent%3DA%252Fb%26Referer%3Dhttp://r/&referer=http://s/"),
            "http://h/a User-Agent=A/b;http://s/");
  EXPECT_EQ(headers("http://h/a&User-Agent=b"), "http://h/a?User-Agent=b ");
}

TEST(StreamRequestTest, RemovesTheFragmentOfTheUrl) {
  EXPECT_EQ(with_query("url=http%3A%2F%2Fh%2Fa%3Fb%23t%3D10"), "http://h/a?b");
}

TEST(StreamRequestTest, AppendsForeignParametersRaw) {
  EXPECT_EQ(with_query("url=http://h/a?x=1&y=2&z=%2F+%zz&&w"), "http://h/a?x=1&y=2&z=%2F+%zz&w");
  EXPECT_EQ(with_query("CMCD=br%3D3200&url=http://h/a"), "http://h/a?CMCD=br%3D3200");
  EXPECT_EQ(with_more("?b=2&a=1&&", "c=3"), "http://h/a?b=2&a=1&&c=3");
  EXPECT_EQ(with_more("?", "c=3"), "http://h/a?c=3");
}

TEST(StreamRequestTest, ReplacesDirectivesOfTheSameName) {
  EXPECT_EQ(with_more("?_HLS_msn=1&t=%2f", "_HLS_msn=2"), "http://h/a?_HLS_msn=2&t=%2f");
  EXPECT_EQ(with_more("?s=1&_HLS_msn=1&_HLS_msn=3&_HLS_part=0", "_HLS_msn=2&_HLS_skip=YES"),
            "http://h/a?s=1&_HLS_msn=2&_HLS_part=0&_HLS_skip=YES");
  EXPECT_EQ(with_more("", "_HLS_msn=2&_HLS_msn=4"), "http://h/a?_HLS_msn=4");
  EXPECT_EQ(upstream_of("/stream?_HLS_msn=7&_HLS_part=1&url=http%3A%2F%2Fh%2Fa%3Ft%3D1"),
            "http://h/a?t=1&_HLS_msn=7&_HLS_part=1");
  EXPECT_EQ(with_more("?_HLS_msn=1", "_hls_msn=2"), "http://h/a?_HLS_msn=1&_hls_msn=2");
  EXPECT_EQ(with_more("?_HLS_msn=1", "%5FHLS%5fmsn=2"), "http://h/a?_HLS_msn=2");
  EXPECT_EQ(with_more("", "%5FHLS_a%0d%0aE:%20%26%23b=2"),
            "http://h/a?_HLS_a%0D%0AE%3A%20%26%23b=2");
}

TEST(StreamRequestTest, SendsNoneOfOurParametersUpstream) {
  const auto request = parse_stream_request(
      "/stream?sg_k=assets&url=http://h/"
      "a&referer=http%3A%2F%2Fr%2Fp&h_X=y&sg_ext=.ts&sg_unknown=1");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->upstream.to_string(), "http://h/a");
  EXPECT_EQ(request->link.referer, "http://r/p");
  EXPECT_EQ(request->link.headers.size(), 1u);
}

TEST(StreamRequestTest, RefererMustBeAnHttpUrl) {
  const auto referer_of = [](const std::string& value) {
    const auto request = parse_stream_request("/stream?url=http://h/&referer=" + value);
    if (!request) return std::string(token_of(request.error().reason));
    return request->link.referer.value_or("none");
  };
  EXPECT_EQ(referer_of("https%3A%2F%2Fsite.example%2Fwatch%3Fv%3D1%23t"),
            "https://site.example/watch?v=1");
  EXPECT_EQ(referer_of("%20http%3A%2F%2Fb%C3%BCcher.example%2Fa%20b%2F%E4%B8%AD"),
            "http://xn--bcher-kva.example/a%20b/%E4%B8%AD");
  EXPECT_EQ(referer_of(""), "none");
  for (const char* value : {"site.example", "javascript:x", "http%3A%2F%2Fr%2F%0d%0aX:y", "http://",
                            "http%3A%2F%2Fr%2Fa%09b", "http%3A%2F%2Fr%2F%00"}) {
    EXPECT_EQ(referer_of(value), "bad_request") << value;
  }
  EXPECT_EQ(with_query("url=http://h/&referer=http://a/&referer=http://b/"), "bad_request");
}

TEST(StreamRequestTest, ReadsHeadersForTheUpstream) {
  EXPECT_EQ(headers_of("h_User-Agent=VLC%2F3%2Bx&h_X=&h_Cookie=a%3D1&h_Cookie=b"),
            "User-Agent=VLC/3+x;X=;Cookie=a=1;Cookie=b;");
  EXPECT_EQ(headers_of("h%5fX%2DY=%20a%20b%09"), "X-Y=a b;");
  for (const char* header : {"h_=x", "h_a%20b=x", "h_X%3A=y", "h_X%0d%0aY=z", "h_X=a%0d%0ab",
                             "h_X=a%0Ab", "h_X=%00", "h_X=a%7fb", "h_%C3%A9=x"}) {
    EXPECT_EQ(headers_of(header), "bad_request") << header;
  }
}

TEST(StreamRequestTest, AcceptsAQueryFromAFormEncoder) {
  const auto request = parse_stream_request(
      "/stream?url=http%3A%2F%2Fh%2F~a%2520b%2Bc&h_User-Agent=A%2F5%20(X11%3B%20c%2Bd)"
      "&referer=http%3A%2F%2Fr%2F~%2B");
  const auto encoded_again = parse_stream_request(
      "/stream?_HLS_msn=1&url=http%3A%2F%2Fh%2F%7Ea%2520b%2Bc&h_User-Agent=A%2F5+%28X11%3B+c%2Bd%29"
      "&referer=http%3A%2F%2Fr%2F%7E%2B");
  ASSERT_TRUE(request && encoded_again);
  EXPECT_EQ(request->link.headers[0].second, "A/5 (X11; c+d)");
  EXPECT_EQ(encoded_again->link.headers, request->link.headers);
  EXPECT_EQ(encoded_again->link.referer, request->link.referer);
  EXPECT_EQ(encoded_again->upstream.to_string(), "http://h/~a%20b+c?_HLS_msn=1");
}

TEST(StreamRequestTest, RefusesHeadersOfTheProxyAndMoreThan32) {
  for (const char* name : {"Host",
                           "host",
                           "Content-Length",
                           "Transfer-Encoding",
                           "TE",
                           "Trailer",
                           "Connection",
                           "Upgrade",
                           "Keep-Alive",
                           "Proxy-Authorization",
                           "Proxy-Connection",
                           "Expect",
                           "Range",
                           "If-Range",
                           "If-None-Match",
                           "If-Modified-Since",
                           "if-match",
                           "Accept-Encoding",
                           "CDN-Loop",
                           "cdn-loop",
                           "Via",
                           "Forwarded",
                           "X-Forwarded-For",
                           "x-forwarded-anything",
                           "Icy-MetaData"}) {
    const auto refused =
        parse_stream_request("/stream?url=http://h/&h_" + std::string(name) + "=x");
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().reason, Reason::bad_request);
    EXPECT_EQ(refused.error().client_detail,
              "h_" + std::string(name) + " is not allowed: the proxy sets this header itself");
    EXPECT_EQ(headers_of("h_" + std::string(name) + "="), "bad_request") << name;
  }
  std::string many = "h_X=0";
  for (int i = 1; i < 32; ++i) many += "&h_X=0";
  EXPECT_EQ(headers_of(many).size(), 32U * 4);
  EXPECT_EQ(headers_of(many + "&h_X=0"), "bad_request");
}

TEST(StreamRequestTest, ReadsUpToThreeAlternatives) {
  const std::string alternative = "&sg_alt=http%3A%2F%2Fb%2Fx%3Fk%3D1%23f";
  const auto request = parse_stream_request("/stream?url=http://a/" + alternative + "&_HLS_msn=7");
  ASSERT_TRUE(request);
  ASSERT_EQ(request->alternatives.size(), 1U);
  EXPECT_EQ(request->alternatives[0].url.to_string(), "http://b/x?k=1&_HLS_msn=7");
  EXPECT_EQ(request->upstream.to_string(), "http://a/?_HLS_msn=7");
  const std::string three = alternative + alternative + alternative;
  EXPECT_EQ(with_query("url=http://a/" + three), "http://a/");
  EXPECT_EQ(with_query("url=http://a/" + three + alternative), "bad_url");
  EXPECT_EQ(with_query("url=http://a/&sg_alt="), "bad_url");
}

TEST(StreamRequestTest, ABarWithoutHeadersLeavesAnotherUrl) {
  const auto request = parse_stream_request("/stream?url=http://u:p@h/a.ts%7CVLC&x=1");
  EXPECT_EQ(request->upstream.to_string(), "http://h/a.ts%7CVLC?x=1");
  ASSERT_TRUE(request->before_bar);
  EXPECT_EQ(request->before_bar->to_string(), "http://h/a.ts?x=1");
  for (const char* url :
       {"http://h/a.ts", "http://h/a.ts|A=1", "http://h/a|b/c", "http://h/%257C"}) {
    EXPECT_FALSE(parse_stream_request("/stream?url=" + std::string(url))->before_bar) << url;
  }
}

TEST(StreamRequestTest, SgLive1MarksALiveLink) {
  const auto is_live = [](const std::string& more) {
    return parse_stream_request("/stream?url=http://a/" + more)->is_live;
  };
  EXPECT_TRUE(is_live("&sg_live=1"));
  EXPECT_FALSE(is_live(""));
  EXPECT_FALSE(is_live("&sg_live=0"));
}

}  // namespace
}  // namespace streamgate
