#include "worker/fetch/cookies.h"

#include <gtest/gtest.h>

#include <string>

#include "worker/fetch/cookie_date.h"
#include "worker/fetch/public_suffix.h"
#include "worker/http/base64.h"

namespace streamgate {
namespace {

constexpr int64_t kNow = 1'700'000'000;

HttpUrl url(std::string_view text) { return parse_http_url(text).value(); }

// The cookies that `to` gets after an answer from `from` has set `field`.
std::string sent(std::string_view field, std::string_view from, std::string_view to) {
  Cookies cookies;
  cookies.take({{"Set-Cookie", field}}, url(from), kNow);
  return cookies.for_request(url(to), kNow);
}

// The text of a link's cookies, decoded.
std::string items(const Cookies& cookies) {
  return decode_base64url(cookies.to_link(kNow)).value();
}

TEST(CookiesTest, ACookieWithoutDomainIsForItsHostOnly) {
  EXPECT_EQ(sent("a=1", "http://a.example.com/", "http://a.example.com:81/x"), "a=1");
  EXPECT_EQ(sent("a=1", "http://example.com/", "http://a.example.com/"), "");
  EXPECT_EQ(sent("a=1", "http://a.example.com/", "http://example.com/"), "");
}

TEST(CookiesTest, ACookieWithDomainIsForItsSubdomains) {
  for (const char* domain : {"example.com", ".example.com", "EXAMPLE.com"}) {
    const std::string field = std::string("a=1; Domain=") + domain;
    EXPECT_EQ(sent(field, "http://a.example.com/", "http://b.example.com/"), "a=1");
    EXPECT_EQ(sent(field, "http://a.example.com/", "http://example.com/"), "a=1");
    EXPECT_EQ(sent(field, "http://a.example.com/", "http://badexample.com/"), "");
    EXPECT_EQ(sent(field, "http://other.org/", "http://example.com/"), "");
  }
}

TEST(CookiesTest, APublicSuffixHasCookiesForItselfOnly) {
  EXPECT_EQ(sent("a=1; Domain=co.uk", "http://a.co.uk/", "http://a.co.uk/"), "");
  EXPECT_EQ(sent("a=1; Domain=github.io", "http://a.github.io/", "http://a.github.io/"), "");
  EXPECT_EQ(sent("a=1; Domain=github.io", "http://github.io/", "http://github.io/"), "a=1");
  EXPECT_EQ(sent("a=1; Domain=github.io", "http://github.io/", "http://a.github.io/"), "");
  EXPECT_TRUE(is_public_suffix("com"));
  EXPECT_TRUE(is_public_suffix("unknown-tld"));
  EXPECT_FALSE(is_public_suffix("example.com"));
}

TEST(CookiesTest, AnIpAddressHasCookiesForItselfOnly) {
  EXPECT_EQ(sent("a=1; Domain=0.0.1", "http://127.0.0.1/", "http://127.0.0.1/"), "");
  EXPECT_EQ(sent("a=1; Domain=127.0.0.1", "http://127.0.0.1/", "http://127.0.0.1/"), "a=1");
  EXPECT_EQ(sent("a=1", "http://[::1]/", "http://[::1]:8080/"), "a=1");
}

TEST(CookiesTest, ThePathLimitsACookie) {
  EXPECT_EQ(sent("a=1", "http://a.com/in/x", "http://a.com/in/y/z"), "a=1");
  EXPECT_EQ(sent("a=1", "http://a.com/in/x", "http://a.com/in?q"), "a=1");
  EXPECT_EQ(sent("a=1", "http://a.com/in/x", "http://a.com/inside"), "");
  EXPECT_EQ(sent("a=1; Path=/p", "http://a.com/in/x", "http://a.com/p"), "a=1");
  EXPECT_EQ(sent("a=1; Path=p", "http://a.com/in/x", "http://a.com/p"), "");
}

TEST(CookiesTest, ASecureCookieGoesToHttpsOnly) {
  EXPECT_EQ(sent("a=1; secure", "https://a.com/", "https://a.com/"), "a=1");
  EXPECT_EQ(sent("a=1; secure", "https://a.com/", "http://a.com/"), "");
}

TEST(CookiesTest, ASecureCookieThatHttpHasSetGoesEverywhere) {
  EXPECT_EQ(sent("a=1; secure", "http://a.com/", "http://a.com/"), "a=1");
  EXPECT_EQ(sent("a=1; secure", "http://a.com/", "https://a.com/"), "a=1");
}

TEST(CookiesTest, HttpReplacesNoSecureCookie) {
  for (const char* field : {"a=2", "a=2; Domain=example.com", "a=2; Path=/x/y", "a=; Max-Age=0"}) {
    Cookies cookies;
    cookies.take({{"Set-Cookie", "a=1; Secure; Path=/x"}}, url("https://b.example.com/x/"), kNow);
    cookies.take({{"Set-Cookie", field}}, url("http://b.example.com/x/"), kNow);
    EXPECT_EQ(cookies.for_request(url("https://b.example.com/x/y"), kNow), "a=1") << field;
  }
  Cookies cookies;
  cookies.take({{"Set-Cookie", "a=1; Secure; Path=/x"}}, url("https://b.example.com/x/"), kNow);
  cookies.take({{"Set-Cookie", "a=2; Path=/"}, {"Set-Cookie", "b=3; Path=/"}},
               url("http://b.example.com/x/"), kNow);
  EXPECT_EQ(cookies.for_request(url("http://b.example.com/"), kNow), "a=2; b=3");
}

TEST(CookiesTest, PrefixedCookiesComeFromHttpsOrThisMachine) {
  for (const char* from : {"https://a.com/", "http://localhost/", "http://a.localhost/",
                           "http://127.0.0.2/", "http://[::1]/"}) {
    EXPECT_EQ(sent("__Host-a=1; Secure; Path=/", from, from), "__Host-a=1") << from;
  }
  EXPECT_EQ(sent("__Host-a=1; Secure; Path=/", "http://a.com/", "http://a.com/"), "");
  EXPECT_EQ(sent("__Secure-a=1; Secure", "http://a.com/", "http://a.com/"), "");
}

TEST(CookiesTest, ACookieMayHaveNoName) {
  EXPECT_EQ(sent("value", "http://a.com/", "http://a.com/"), "value");
  EXPECT_EQ(sent("=value", "http://a.com/", "http://a.com/"), "value");
  for (const char* field : {"", "=", ";", "=a=b", "==b", "__Host-a", "=__secure-a=1"}) {
    EXPECT_EQ(sent(field, "https://a.com/", "https://a.com/"), "") << field;
  }
}

TEST(CookiesTest, MaxAgeWinsOverExpires) {
  EXPECT_EQ(sent("a=1; Max-Age=9; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "http://a.com/",
                 "http://a.com/"),
            "a=1");
  EXPECT_EQ(sent("a=1; Max-Age=0; Expires=Thu, 01 Jan 2099 00:00:00 GMT", "http://a.com/",
                 "http://a.com/"),
            "");
  Cookies cookies;
  cookies.take({{"Set-Cookie", "a=1; Max-Age=9"}}, url("http://a.com/"), kNow);
  EXPECT_EQ(cookies.for_request(url("http://a.com/"), kNow + 8), "a=1");
  EXPECT_EQ(cookies.for_request(url("http://a.com/"), kNow + 9), "");
  EXPECT_EQ(cookies.to_link(kNow + 9), "");
}

TEST(CookiesTest, LongerPathsComeFirst) {
  Cookies cookies;
  cookies.take({{"Set-Cookie", "a=1; Path=/"},
                {"set-cookie", "b=2; Path=/x"},
                {"Set-Cookie", "c=3; Path=/"}},
               url("http://a.com/"), kNow);
  EXPECT_EQ(cookies.for_request(url("http://a.com/x"), kNow), "b=2; a=1; c=3");
}

TEST(CookiesTest, TheTextOfALinkBringsBackTheSameCookies) {
  Cookies cookies;
  cookies.take({{"Set-Cookie", "a=1%3B x=y ; Domain=example.com; Path=/p%20q;  Secure; Max-Age=9"},
                {"Set-Cookie", "b="}},
               url("https://a.example.com/v/i.m3u8"), kNow);
  EXPECT_EQ(items(cookies),
            "a=1%253B%20x=y;d=.example.com;p=/p%2520q;s;x=1700000009 b=;d=a.example.com;p=/v");
  const std::string text = cookies.to_link(kNow);
  const Cookies again = Cookies::from_link(text, kNow);
  EXPECT_EQ(again.to_link(kNow), text);
  EXPECT_EQ(again.for_request(url("https://b.example.com/p%20q"), kNow), "a=1%3B x=y");
}

TEST(CookiesTest, MalformedTextIsLeftOut) {
  std::string text;
  append_base64url(
      "nothing a=1;d=a.com;p=x b=2;d=.com =;d=a.com =e=3;d=a.com c=4;d=a.com;x=y d=%0A;d=a.com",
      text);
  EXPECT_EQ(items(Cookies::from_link(text, kNow)), "b=2;d=com;p=/");
  EXPECT_TRUE(Cookies::from_link("!", kNow).empty());
}

TEST(CookiesTest, TheBoundsDropTheOldest) {
  Cookies cookies;
  const std::string long_value = "=" + std::string(3000, 'x');
  for (const char* name : {"a", "b"}) {
    cookies.take({{"Set-Cookie", name + long_value}}, url("http://a.com/"), kNow);
  }
  EXPECT_EQ(cookies.for_request(url("http://a.com/"), kNow), "b" + long_value);
  cookies.take({{"Set-Cookie", "c=" + std::string(5000, 'x')}}, url("http://a.com/"), kNow);
  EXPECT_EQ(cookies.for_request(url("http://a.com/"), kNow), "b" + long_value);
}

TEST(CookiesTest, NewerPairsReplaceThoseOfTheSameName) {
  EXPECT_EQ(merge_cookies("a=1;b=2; c=3", "b=4; d=5"), "a=1; c=3; b=4; d=5");
  EXPECT_EQ(merge_cookies("", "b=4"), "b=4");
  EXPECT_EQ(merge_cookies("a=1", ""), "a=1");
  EXPECT_EQ(merge_cookies("old; b=2; new=3", "new"), "b=2; new=3; new");
}

TEST(CookieDateTest, TheUsualFormsAreRead) {
  for (const char* text :
       {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994", "1994 november 6th 8:49:37", "08:49:37 6 NOV 94"}) {
    EXPECT_EQ(parse_cookie_date(text), 784'111'777) << text;
  }
  EXPECT_EQ(parse_cookie_date("1 Jan 69 0:0:0"), 3'124'224'000);
}

TEST(CookieDateTest, IncompleteAndImpossibleDatesAreRejected) {
  for (const char* text : {"", "06 Nov 1994", "Nov 1994 08:49:37", "06 1994 08:49:37",
                           "06 Nov 08:49:37", "32 Nov 1994 08:49:37", "06 Nov 1994 24:00:00",
                           "06 Nov 1600 08:49:37", "06 Nov 19940 08:49:37"}) {
    EXPECT_EQ(parse_cookie_date(text), std::nullopt) << text;
  }
}

TEST(Base64UrlTest, TheRoundTripIsExact) {
  for (const std::string& bytes : {std::string(), std::string("a"), std::string("ab"),
                                   std::string("abc"), std::string("\xff\xfe\x00\x3f", 4)}) {
    std::string text;
    append_base64url(bytes, text);
    EXPECT_EQ(decode_base64url(text), bytes);
  }
  std::string text;
  append_base64url("\xff\xfe\xfd", text);
  EXPECT_EQ(text, "__79");
}

TEST(Base64UrlTest, OtherFormsAreRejected) {
  for (const char* text : {"YQ==", "Y", "YR", "Y+8", "Y/8", "YQ YQ"}) {
    EXPECT_EQ(decode_base64url(text), std::nullopt) << text;
  }
}

// Each item costs time, and a link of ours has no more of them.
TEST(CookiesTest, OnlyTheFirstItemsOfALinkAreRead) {
  std::string items;
  for (size_t i = 0; i < Cookies::kMaxCookies; ++i) items += "a=" + std::to_string(i) + ";d=h ";
  std::string text;
  append_base64url(items + "b=1;d=h", text);
  EXPECT_EQ(Cookies::from_link(text, 0).for_request(*parse_http_url("http://h/"), 0), "a=31");
}

}  // namespace
}  // namespace streamgate
