#include "worker/links/upstream_url.h"

#include <gtest/gtest.h>

namespace streamgate {
namespace {

std::string resolved(std::string_view reference) {
  const auto base = parse_http_url("http://h/a/b?q");
  const auto url = resolve_upstream_url(*base, reference);
  if (!url) return std::string(token_of(url.error().reason));
  return url->url.to_string() + (url->authorization.empty() ? "" : " " + url->authorization);
}

// The results are those of `new URL(reference, 'http://h/a/b?q')` in Chromium.
TEST(UpstreamUrl, ResolvesLikeABrowser) {
  const std::pair<const char*, const char*> cases[] = {
      {"http:c", "http://h/a/c"},
      {"HTTP:/c", "http://h/c"},
      {"http:", "bad_url"},
      {"http:?x", "http://h/a/b?x"},
      {"http:c:d", "http://h/a/c:d"},
      {"https:c", "https://c/"},
      {"https:/c/d", "https://c/d"},
      {"https:////c/d", "https://c/d"},
      {"http:///c", "http://c/"},
      {"///c", "http://c/"},
      {"\\\\c\\d", "http://c/d"},
      {"\\c\\d?e\\f", "http://h/c/d?e%5Cf"},
      {"..\\c", "http://h/c"},
      {"http://c\\@d/", "http://c/@d/"},
      {"http://u:p@c/", "http://c/ Basic dTpw"},
      {"//u@c/", "http://c/ Basic dTo="},
      {"//u:a@b@c:8/d@e", "http://c:8/d@e Basic dTphQGI="},
      {"//:@c/", "http://c/"},
      {"//\xE7\x9B\xB4\xE6\x92\xAD.example:8/", "http://xn--z6ut02b.example:8/"},
      {"//fa\xC3\x9F.de/", "http://xn--fa-hia.de/"},
      {"//%66a%C3%9F.de/", "http://xn--fa-hia.de/"},
      {"//\xEF\xBC\x91\xEF\xBC\x92\xEF\xBC\x97.0.0.1/", "http://127.0.0.1/"},
      {"//a\xE3\x80\x82test/", "http://a.test/"},
      {"//\xE2\x98\x83.net/", "http://xn--n3h.net/"},
      {"//i\xE2\x9D\xA4.ws/", "http://xn--i-7iq.ws/"},
      {"//i\xE2\x9D\xA4\xEF\xB8\x8F.ws/", "http://xn--i-7iq.ws/"},  // with a variation selector
      {"//fa\xC3\x9F.\xE2\x98\x83.net/", "http://xn--fa-hia.xn--n3h.net/"},
      {"//fa\xC3\x9F\xE2\x98\x83.net/", "bad_url"},  // the fallback would change the sharp s
      {"//xn--n3h.\xE4\xB8\xAD/", "http://xn--n3h.xn--fiq/"},
      {"//r3---a-.\xE4\xB8\xAD:8/", "http://r3---a-.xn--fiq:8/"},
      {"//10\xE3\x80\x82\xEF\xBC\x90.0\xEF\xBD\xA1\xEF\xBC\x91/", "http://10.0.0.1/"},
      {"//\xC2\xAD.test/", "bad_url"},      // nothing is left of the label
      {"//\xE2\x84\x80.test/", "bad_url"},  // mapped to a/c
      {"//a%00b/", "bad_url"},
      {"//a%2Fb/", "bad_url"},
      {"//a%40b/", "bad_url"},
      {"//\xFF.test/", "bad_url"},
      {"//[::1]:8/", "http://[::1]:8/"},
      {"//[::1%25lo]/", "bad_url"},
      {"rtmp://c/", "bad_url"},
  };
  for (const auto& [reference, expected] : cases)
    EXPECT_EQ(resolved(reference), expected) << reference;
}

TEST(UpstreamUrl, ErrorsAndUrlsHaveNoUserinfo) {
  const auto url = parse_upstream_url("http://secret@/");
  ASSERT_FALSE(url);
  EXPECT_EQ(url.error().detail.find("secret"), std::string::npos);
  std::string text = "http://secret:word@\xFF/";
  EXPECT_EQ(take_authorization(text), "Basic c2VjcmV0OndvcmQ=");
  EXPECT_EQ(text, "http://\xFF/");
}

}  // namespace
}  // namespace streamgate
