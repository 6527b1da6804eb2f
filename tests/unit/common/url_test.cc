#include "common/url.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "common/percent_table.h"
#include "tests/unit/corpus_index.h"

namespace streamgate {
namespace {

using namespace std::string_literals;

std::string resolve(std::string_view base, std::string_view reference) {
  std::string out;
  resolve_reference(split_uri(base), reference, out);
  return out;
}

std::string encode(std::string_view text) {
  std::string out;
  percent_encode(text, out);
  return out;
}

bool is_refused(std::string_view text) {
  const Result<HttpUrl> url = parse_http_url(text);
  return !url && url.error().reason == Reason::bad_url && !url.error().detail.empty();
}

using Cases = std::vector<std::pair<std::string, std::string>>;

// RFC 3986 5.4.1 and 5.4.2, base http://a/b/c/d;p?q.
TEST(Url, ResolvesTheNormalExamplesOfRfc3986) {
  const Cases cases = {{"g:h", "g:h"},
                       {"g", "http://a/b/c/g"},
                       {"./g", "http://a/b/c/g"},
                       {"g/", "http://a/b/c/g/"},
                       {"/g", "http://a/g"},
                       {"//g", "http://g"},
                       {"?y", "http://a/b/c/d;p?y"},
                       {"g?y", "http://a/b/c/g?y"},
                       {"#s", "http://a/b/c/d;p?q#s"},
                       {"g#s", "http://a/b/c/g#s"},
                       {"g?y#s", "http://a/b/c/g?y#s"},
                       {";x", "http://a/b/c/;x"},
                       {"g;x", "http://a/b/c/g;x"},
                       {"g;x?y#s", "http://a/b/c/g;x?y#s"},
                       {"", "http://a/b/c/d;p?q"},
                       {".", "http://a/b/c/"},
                       {"./", "http://a/b/c/"},
                       {"..", "http://a/b/"},
                       {"../", "http://a/b/"},
                       {"../g", "http://a/b/g"},
                       {"../..", "http://a/"},
                       {"../../", "http://a/"},
                       {"../../g", "http://a/g"}};
  for (const auto& [reference, target] : cases) {
    EXPECT_EQ(resolve("http://a/b/c/d;p?q", reference), target) << reference;
  }
}

TEST(Url, ResolvesTheAbnormalExamplesOfRfc3986) {
  const Cases cases = {{"../../../g", "http://a/g"},
                       {"../../../../g", "http://a/g"},
                       {"/./g", "http://a/g"},
                       {"/../g", "http://a/g"},
                       {"g.", "http://a/b/c/g."},
                       {".g", "http://a/b/c/.g"},
                       {"g..", "http://a/b/c/g.."},
                       {"..g", "http://a/b/c/..g"},
                       {"./../g", "http://a/b/g"},
                       {"./g/.", "http://a/b/c/g/"},
                       {"g/./h", "http://a/b/c/g/h"},
                       {"g/../h", "http://a/b/c/h"},
                       {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
                       {"g;x=1/../y", "http://a/b/c/y"},
                       {"g?y/./x", "http://a/b/c/g?y/./x"},
                       {"g?y/../x", "http://a/b/c/g?y/../x"},
                       {"g#s/./x", "http://a/b/c/g#s/./x"},
                       {"g#s/../x", "http://a/b/c/g#s/../x"},
                       {"http:g", "http:g"}};
  for (const auto& [reference, target] : cases) {
    EXPECT_EQ(resolve("http://a/b/c/d;p?q", reference), target) << reference;
  }
}

TEST(Url, QueryAndFragmentOfTheBaseAreNotPartOfItsDirectory) {
  EXPECT_EQ(resolve("http://h/d/p.m3u8?u=http://x/y/z", "s.ts"), "http://h/d/s.ts");
  EXPECT_EQ(resolve("http://h/d/p.m3u8#a/b", "s.ts"), "http://h/d/s.ts");
  EXPECT_EQ(resolve("http://h?a/b", "s.ts"), "http://h/s.ts");
}

TEST(Url, ABaseWithoutAPathResolvesAgainstTheRoot) {
  EXPECT_EQ(resolve("http://h", "s.ts"), "http://h/s.ts");
  EXPECT_EQ(resolve("http://h", "../s.ts"), "http://h/s.ts");
  EXPECT_EQ(resolve("http://h", "?x"), "http://h?x");
  EXPECT_EQ(resolve("http://u:p@[2001:db8::1]:8443/a/b", "c"), "http://u:p@[2001:db8::1]:8443/a/c");
}

TEST(Url, KeepsEmptySegments) {
  EXPECT_EQ(resolve("http://h/dir/p", ".//entire6.ts"), "http://h/dir//entire6.ts");
  EXPECT_EQ(resolve("http://h/a//b/c", "../d"), "http://h/a//d");
  EXPECT_EQ(resolve("http://h//p", "g"), "http://h//g");
  EXPECT_EQ(resolve("http://h/p", "a//b//c.ts"), "http://h/a//b//c.ts");
  EXPECT_EQ(resolve("http://h/a/../b/p", "g"), "http://h/b/g");
}

TEST(Url, NeverDecodesOrNormalisesEscapes) {
  EXPECT_EQ(resolve("http://h/d/p", "a%2Fb%2e%2E/%20+;p=1:x"), "http://h/d/a%2Fb%2e%2E/%20+;p=1:x");
  EXPECT_EQ(resolve("http://h/d/p", "%2e%2e/z.ts"), "http://h/d/%2e%2e/z.ts");
  EXPECT_EQ(resolve("http://h/d/p", "100%.ts"), "http://h/d/100%.ts");
}

TEST(Url, EncodesBytesThatAreNotAllowedInAUri) {
  EXPECT_EQ(resolve("http://h/", "my seg.ts"), "http://h/my%20seg.ts");
  EXPECT_EQ(resolve("http://h/", "\"<>\\^`{|}\x7f\x01"s),
            "http://h/%22%3C%3E%5C%5E%60%7B%7C%7D%7F%01");
  EXPECT_EQ(resolve("http://h/", "\xc3\xaf\xff?\xe9#\xe9"), "http://h/%C3%AF%FF?%E9#%E9");
}

TEST(Url, RecognisesASchemeByItsGrammarOnly) {
  EXPECT_FALSE(split_uri("2024-01-01T10:00:00.ts").has_scheme);
  EXPECT_FALSE(split_uri("seg_1:2.ts").has_scheme);
  EXPECT_FALSE(split_uri("a/b:c").has_scheme);
  EXPECT_EQ(split_uri("chrome-extension://x").scheme, "chrome-extension");
  EXPECT_EQ(split_uri("video:1.ts").scheme, "video");
}

TEST(Url, SplitsIntoTheFiveComponents) {
  const UriParts parts = split_uri("https://u@h:1/p/q?a=/b?#f?/#");
  EXPECT_EQ(parts.scheme, "https");
  EXPECT_EQ(parts.authority, "u@h:1");
  EXPECT_EQ(parts.path, "/p/q");
  EXPECT_EQ(parts.query, "a=/b?");
  EXPECT_EQ(parts.fragment, "f?/#");
  EXPECT_TRUE(split_uri("x?").has_query);
  EXPECT_TRUE(split_uri("x#").has_fragment);
  EXPECT_EQ(resolve("http://h/x", "a?#"), "http://h/a?#");
}

TEST(Url, EncodesEverythingButUnreservedBytes) {
  EXPECT_EQ(encode("AZaz09-._~"), "AZaz09-._~");
  EXPECT_EQ(encode("http://h/a%2Fb?c=d&e+f,\"$#"),
            "http%3A%2F%2Fh%2Fa%252Fb%3Fc%3Dd%26e%2Bf%2C%22%24%23");
  EXPECT_EQ(encode("\x00\xff"s), "%00%FF");
}

// The loops copy sixteen bytes at a time; the result must not depend on where the blocks end.
TEST(Url, EncodesEveryByteAtEveryPlaceOfATextOfAnyLength) {
  for (size_t length = 1; length <= 40; ++length) {
    for (size_t place = 0; place < length; ++place) {
      for (const char odd : {'/', '?', ' ', '\xff', '\0'}) {
        const std::string before(place, 'a');
        const std::string after(length - place - 1, 'z');
        const std::string one(1, odd);
        EXPECT_EQ(encode(before + one + after), before + encode(one) + after);
        const std::string twice = before + one + after + one;
        EXPECT_EQ(encode(twice), before + encode(one) + after + encode(one));
      }
    }
  }
}

TEST(Url, DecodesExactlyOnce) {
  EXPECT_EQ(percent_decode("a%2Fb%252F%2f+"), "a/b%2F/+");
  EXPECT_EQ(percent_decode("100%"), "100%");
  EXPECT_EQ(percent_decode("%4"), "%4");
  EXPECT_EQ(percent_decode("%zz%4x%-1%+1% 1%41"), "%zz%4x%-1%+1% 1A");
  std::string every;
  for (int c = 0; c < 256; ++c) every.push_back(static_cast<char>(c));
  EXPECT_EQ(percent_decode(encode(every)), every);
}

TEST(Url, ParsesAnHttpUrlIntoItsParts) {
  const Result<HttpUrl> url = parse_http_url("HTTPS://Cdn.Example:8443/a/b.m3u8?t=%2F&x#frag");
  ASSERT_TRUE(url);
  EXPECT_TRUE(url->is_https);
  EXPECT_EQ(url->host, "cdn.example");
  EXPECT_EQ(url->port, 8443);
  EXPECT_EQ(url->path_and_query, "/a/b.m3u8?t=%2F&x");
  EXPECT_EQ(url->path(), "/a/b.m3u8");
  EXPECT_EQ(url->to_string(), "https://cdn.example:8443/a/b.m3u8?t=%2F&x");
}

TEST(Url, FillsInDefaultsAndCanonicalForms) {
  EXPECT_EQ(parse_http_url("http://h.test")->to_string(), "http://h.test/");
  EXPECT_EQ(parse_http_url("http://h.test?x")->to_string(), "http://h.test/?x");
  EXPECT_EQ(parse_http_url("http://h.test:80/")->to_string(), "http://h.test/");
  EXPECT_EQ(parse_http_url("https://h.test:443/")->origin(), "https://h.test");
  EXPECT_EQ(parse_http_url("https://h.test:80/")->origin(), "https://h.test:80");
  EXPECT_EQ(parse_http_url("http://h.test./")->host, "h.test");
  EXPECT_EQ(parse_http_url("http://1.2.3.4./")->host, "1.2.3.4");
  EXPECT_TRUE(parse_http_url("http://1.2.3.4./")->host_is_ipv4);
  EXPECT_FALSE(parse_http_url("http://1.2.3.4.test/")->host_is_address());
  EXPECT_EQ(parse_http_url("http://h.test:/")->port, 80);
  const Result<HttpUrl> v6 = parse_http_url("http://[2001:DB8:0::1]:81/x");
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->host, "2001:db8::1");
  EXPECT_TRUE(v6->host_is_ipv6);
  EXPECT_FALSE(v6->host_is_ipv4);
  EXPECT_EQ(v6->authority(), "[2001:db8::1]:81");
}

TEST(Url, EncodesRawBytesOfPathAndQuery) {
  EXPECT_EQ(parse_http_url("http://h.test/a b\xc3\xaf|{}?\"<>\\^`")->path_and_query,
            "/a%20b%C3%AF%7C%7B%7D?%22%3C%3E%5C%5E%60");
  EXPECT_EQ(parse_http_url("http://h.test/%0d%0aHost:%20evil")->path_and_query,
            "/%0d%0aHost:%20evil");
}

TEST(Url, RefusesControlBytesAnywhere) {
  for (const char control : "\x01\t\n\r\x1f\x7f"s + '\0') {
    EXPECT_TRUE(is_refused("http://a.test/x"s + control));
    EXPECT_TRUE(is_refused("http://a.test/?x"s + control));
    EXPECT_TRUE(is_refused("http://a.test/#x"s + control));
    EXPECT_TRUE(is_refused("http://a"s + control + ".test/"));
    EXPECT_TRUE(is_refused(control + "http://a.test/"s));
  }
}

TEST(Url, RefusesUrlsWithoutAPlainHttpOrigin) {
  for (const char* text : {"",
                           "http",
                           "http:",
                           "http:/",
                           "http://",
                           "http:///",
                           "http:///a.test/",
                           "http:/a.test/",
                           "http:a.test/",
                           "//a.test/",
                           "/x",
                           "ftp://a.test/",
                           "javascript:alert(1)",
                           "http+unix://%2Fx/",
                           "http\\://a.test/",
                           "http://user:pass@a.test/",
                           "http://@a.test/",
                           "http://a.test\\@b.test/",
                           "http://a.test\\.b.test/",
                           "http://a b/",
                           "http://a.test /",
                           "http://a.test%00.b/",
                           "http://%61.test/",
                           "http://\xe2\x93\x94.test/",
                           "http://a..test/",
                           "http://.a.test/",
                           "http://a.test../",
                           "http://./",
                           "http://?x",
                           "http://#x",
                           "http://a<b/",
                           "http://a'b.test/",
                           "http://a!b/"}) {
    EXPECT_TRUE(is_refused(text)) << text;
  }
}

TEST(Url, RefusesInvalidPorts) {
  for (const char* port : {"0", "65536", "+80", "-1", "80:90", "8a", " 80", "80 ", "00000", "0x50",
                           "18446744073709551697", "340282366920938463463374607431768211537"}) {
    EXPECT_TRUE(is_refused("http://a.test:"s + port + "/")) << port;
  }
  EXPECT_EQ(parse_http_url("http://a.test:65535/")->port, 65535);
}

TEST(Url, RefusesNumericHostTricks) {
  for (const char* host :
       {"127.1",     "0x7f.1",     "0x7f000001", "2130706433", "0177.0.0.1", "o177.0.0.1",
        "1.2.3.4.5", "1.2.3",      "256.1.1.1",  "1.2.3.08",   "foo.0x4",    "foo.0x",
        "foo.123",   "0X7F.1",     "1.2.3.0x4.", "1.2.3.4..",  "00.0.0.0",   "1.2.3.",
        "0",         "999999999.", "foo.09."}) {
    EXPECT_TRUE(is_refused("http://"s + host + "/")) << host;
  }
  EXPECT_FALSE(is_refused("http://company.127.0.0.1.nip.io/"));
  EXPECT_FALSE(is_refused("http://1.2.3.4/"));
  EXPECT_FALSE(is_refused("http://0x4.foo/"));
}

TEST(Url, RefusesBracketsWithoutAnIpv6Address) {
  for (const char* host : {"[",
                           "[]",
                           "[::1",
                           "::1]",
                           "[::1]a",
                           "[::1].",
                           "[:]",
                           "[fe80::1%25eth0]",
                           "[fe80::1%eth0]",
                           "[::127.0.0.1.]",
                           "[::1.2.3]",
                           "[::01.2.3.4]",
                           "[0:1:2:3:4:5:6:7:8]",
                           "[0::0::0]",
                           "[www.a.test]",
                           "[::%31]",
                           "%5B::1]",
                           "[1.2.3.4]",
                           "a[::1]",
                           "[::1]:80:81",
                           "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0001]"}) {
    EXPECT_TRUE(is_refused("http://"s + host + "/")) << host;
  }
  EXPECT_EQ(parse_http_url("http://[::ffff:1.2.3.4]/")->host, "::ffff:1.2.3.4");
}

TEST(Url, LimitsTheLengthsOfHostNamesAndLabels) {
  const std::string label(63, 'a');
  EXPECT_FALSE(is_refused("http://" + label + ".test/"));
  EXPECT_TRUE(is_refused("http://a" + label + ".test/"));
  EXPECT_TRUE(is_refused("http://test.a" + label));
  const std::string name = label + '.' + label + '.' + label + '.';
  EXPECT_FALSE(is_refused("http://" + name + std::string(61, 'b')));
  EXPECT_FALSE(is_refused("http://" + name + std::string(61, 'b') + "./"));
  EXPECT_TRUE(is_refused("http://" + name + std::string(62, 'b')));
  EXPECT_FALSE(is_refused("http://a_b-.test/"));
}

// tests/corpus has the reason of each refusal: bad_url for an invalid form, and every other reason
// for a refusal by the target guard. The spellings of browsers are for links/upstream_url.
TEST(Url, RefusesTheMalformedTargetsOfTheOwnCorpus) {
  size_t refused = 0;
  size_t accepted = 0;
  for (const auto& row : testing_corpus::read_targets(testing_corpus::kOwnCorpus)) {
    const bool is_malformed =
        row.at("reason") == "bad_url" || testing_corpus::cell(row, "spelling") == "browser";
    ++(is_malformed ? refused : accepted);
    EXPECT_EQ(is_refused(row.at("url")), is_malformed) << row.at("line");
  }
  EXPECT_GT(refused, 0U);
  EXPECT_GT(accepted, 0U);
}

// In an external corpus the column `why` marks the rows that break a rule of form.
TEST(Url, RefusesTheMalformedTargetsOfTheExternalCorpus) {
  const std::string corpus = testing_corpus::external_corpus();
  if (corpus.empty()) GTEST_SKIP() << testing_corpus::kNoExternalCorpus;
  size_t checked = 0;
  for (const auto& row : testing_corpus::read_targets(corpus)) {
    const std::string& why = row.at("why");
    const bool is_malformed = why.find("parse failure") != why.npos ||
                              why.find("legacy spelling") != why.npos ||
                              why.find("scheme other") != why.npos;
    if (row.at("expected") != "allow" && !is_malformed) continue;
    ++checked;
    EXPECT_EQ(is_refused(row.at("url")), is_malformed) << row.at("line");
  }
  EXPECT_GT(checked, 0U);
}

TEST(UrlTest, TheFirstIllegalByteIsFoundAnywhere) {
  for (size_t size = 0; size < 40; ++size) {
    for (size_t from = 0; from <= size; ++from) {
      std::string text(size, 'a');
      EXPECT_EQ(find_illegal(text, from), size);
      for (size_t at = 0; at < size; ++at) {
        text[at] = '|';
        EXPECT_EQ(find_illegal(text, from), at < from ? size : at) << size << ' ' << from;
        text[at] = 'a';
      }
    }
  }
}

TEST(UrlTest, EachByteIsIllegalInABlockAsInTheTable) {
  for (int c = 0; c < 256; ++c) {
    const char byte = static_cast<char>(c);
    const bool is_illegal = (percent_entry(byte).size_and_class & kIllegalByte) != 0;
    EXPECT_EQ(find_illegal(std::string(1, byte)), is_illegal ? 0U : 1U) << c;
    EXPECT_EQ(find_illegal(std::string(16, byte)), is_illegal ? 0U : 16U) << c;
  }
}

}  // namespace
}  // namespace streamgate
