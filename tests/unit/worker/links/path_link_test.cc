#include "worker/links/path_link.h"

#include <gtest/gtest.h>

#include <string>

#include "worker/http/base64.h"

namespace streamgate {
namespace {

std::string encoded(std::string_view text) {
  std::string out;
  append_base64url(text, out);
  return out;
}
std::string decoded(std::string_view carry) { return decode_base64url(carry).value_or("?"); }

std::string upstream_of(const std::string& target) {
  const auto request = parse_stream_request(target);
  return request ? request->upstream.to_string() : std::string(token_of(request.error().reason));
}
std::string headers_of(const std::string& target) {
  const auto request = parse_stream_request(target);
  if (!request) return std::string(token_of(request.error().reason));
  std::string text;
  for (const auto& [name, value] : request->link.headers) text += name + "=" + value + ";";
  return text;
}
std::string link_to(std::string_view absolute, std::string_view carry = "-") {
  std::string out;
  return append_path_link(carry, absolute, out) ? out : "none";
}

TEST(PathLink, HasTwoRoutes) {
  for (const char* target : {"/at/", "/at/-/http/h/", "/api/proxy/at/-/http/h/a?b", "/at/x"}) {
    EXPECT_EQ(route_of(target), Route::stream) << target;
  }
  for (const char* target : {"/at", "/att/-/http/h/", "/api/at/-/http/h/", "/At/-/http/h/"}) {
    EXPECT_EQ(route_of(target), Route::none) << target;
  }
  EXPECT_EQ(parse_stream_request("/at/-/http/h/")->route_path, "/stream");
  EXPECT_EQ(parse_stream_request("/api/proxy/at/-/http/h/")->route_path, "/api/proxy/stream");
}

TEST(PathLink, HasASchemeBehindItsCarry) {
  for (const char* target : {"/at/-/http/h/", "/api/proxy/at/eA/HTTPS/h", "/at/?/http/"}) {
    EXPECT_TRUE(has_form_of_path_link(target)) << target;
  }
  for (const char* target : {"/at", "/at/", "/at/-", "/at/-/", "/at/-/ftp/h/", "/at/http/h/",
                             "/atx/-/http/h/", "/x/at/-/http/h/", "/stream?url=/at/-/http/h/"}) {
    EXPECT_FALSE(has_form_of_path_link(target)) << target;
  }
}

TEST(PathLink, KeepsPathAndQueryByteForByte) {
  for (const char* path :
       {"/", "/a.ts", "//a//b///", "/a%2Fb%2f/%zz", "/a;p=1/B.TS", "/a:b/@c", "/a/../b/./c", "/a?",
        "/a?x=1&x=1&&y", "/a?url=http://x/&sg_live=1&referer=r", "/a?sg_tokens=1",
        "/a?x=/../sg_token=1", "/a?b?c"}) {
    EXPECT_EQ(upstream_of(std::string("/at/-/https/h.example:8443") + path),
              std::string("https://h.example:8443") + path);
  }
  EXPECT_EQ(upstream_of("/at/-/HTTP/H"), "http://h/");
  EXPECT_EQ(upstream_of("/at/-/http/h?x=1"), "http://h/?x=1");
  EXPECT_EQ(upstream_of("/at/-/http/h/a#f"), "http://h/a");
  EXPECT_EQ(upstream_of("/at/-/http/[::1]:81/a"), "http://[::1]:81/a");
  EXPECT_EQ(upstream_of("/at/-/http/%5B::1%5d:81/a"), "http://[::1]:81/a");
  EXPECT_EQ(upstream_of("/at/-/http/h%C3%A9.example/"), "http://xn--h-bga.example/");
}

TEST(PathLink, RefusesTargetsThatNameNoUrl) {
  for (const char* target :
       {"/at/", "/at/-", "/at/-/", "/at/-/http", "/at/-/http/", "/at/-/http//h/a", "/at/-/ftp/h/a",
        "/at/-/h/a", "/at//http/h/", "/at/-/http/?x", "/at/-/http/a%2Fb/", "/at/-/http/h:0/",
        "/at/-/http/a%5Cb/c", "/at/-/https/0x7f.1/"}) {
    EXPECT_EQ(upstream_of(target), "bad_url") << target;
  }
  for (const char* carry : {"!", "a", "YQ==", "--", "YR"}) {
    EXPECT_EQ(upstream_of("/at/" + std::string(carry) + "/http/h/"), "bad_url") << carry;
  }
  EXPECT_EQ(upstream_of("/at/" + encoded("h_Host=x") + "/http/h/"), "bad_request");
}

TEST(PathLink, TheCarryIsTheContextOfTheLink) {
  const std::string carry = encoded("referer=https%3A%2F%2Fr%2F&h_User-Agent=A%20B&sg_c=YWI");
  const auto request = parse_stream_request("/at/" + carry + "/http/h/a");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->link.referer, "https://r/");
  EXPECT_EQ(request->link.cookies, "YWI");
  EXPECT_EQ(request->link.headers.front().second, "A B");
  EXPECT_EQ(request->carry, carry);
  std::string parameters;
  append_query_form(request->link, ChildOrigin::same, parameters);
  EXPECT_EQ(carry_of(parameters, "http://h/"), carry);
  EXPECT_EQ(carry_of("", "http://h/"), "-");
}

TEST(PathLink, SecretsBelongToTheScopeThatTheCarryNames) {
  const std::string secrets = "&h_Authorization=Basic%20eA%3D%3D&h_cookie=c&h_X=1";
  const std::string carry = carry_of(secrets, "https://h:81/live/");
  EXPECT_EQ(decoded(carry), "sg_scope=https%3A%2F%2Fh%3A81%2Flive%2F" + secrets);
  EXPECT_EQ(headers_of("/at/" + carry + "/https/h:81/other/a"),
            "Authorization=Basic eA==;cookie=c;X=1;");
  for (const char* elsewhere : {"/http/h:81/", "/https/h/", "/https/h:810/", "/https/i:81/live/"}) {
    EXPECT_EQ(headers_of("/at/" + carry + elsewhere), "X=1;") << elsewhere;
  }
  // A carry without a scope is not ours.
  EXPECT_EQ(headers_of("/at/" + encoded(secrets.substr(1)) + "/https/h:81/"), "X=1;");
}

TEST(PathLink, ACarryWithoutSecretsNamesNoScope) {
  EXPECT_EQ(decoded(carry_of("&h_X=1", "http://h/")), "h_X=1");
  EXPECT_EQ(decoded(carry_of("&h_X=1&sg_grant=1.a", "http://h/b/")),
            "sg_scope=http%3A%2F%2Fh%2Fb%2F&h_X=1&sg_grant=1.a");
  const auto request =
      parse_stream_request("/at/" + carry_of("&sg_grant=1.a", "http://h/b/") + "/http/h/b/c");
  EXPECT_EQ(request->grant, "1.a");
  EXPECT_EQ(request->scope, "http://h/b/");
}

TEST(PathLink, OnlyTheTokenIsTakenFromTheQuery) {
  const auto token_of_query = [](const std::string& query) {
    const auto request = parse_stream_request("/at/-/http/h/a?" + query);
    if (!request) return std::string(token_of(request.error().reason));
    return request->token + " " + request->upstream.path_and_query;
  };
  EXPECT_EQ(token_of_query("sg_token=t"), "t /a");
  EXPECT_EQ(token_of_query("x=1&sg_token=t%2e&&y=%20"), "t. /a?x=1&&y=%20");
  EXPECT_EQ(token_of_query("sg%5Ftoken=t&x"), "t /a?x");
  EXPECT_EQ(token_of_query("sg_token=t&sg_token=t"), "bad_request");
}

TEST(PathLink, UserinfoBecomesAHeader) {
  EXPECT_EQ(headers_of("/at/-/http/u:p@h/a"), "Authorization=Basic dTpw;");
  EXPECT_EQ(upstream_of("/at/-/http/u:p@h/a"), "http://h/a");
}

TEST(PathLink, IsWrittenForEveryHttpUrl) {
  EXPECT_EQ(link_to("https://h:81/a//b;c/%2F?x=/y#f"), "/-/https/h:81/a//b;c/%2F?x=/y#f");
  EXPECT_EQ(link_to("HTTP://H", "abc"), "/abc/http/H/");
  EXPECT_EQ(link_to("http://h?x"), "/-/http/h/?x");
  EXPECT_EQ(link_to("http://h/a/%2e%2e/b"), "/-/http/h/a/%2e%2e/b");
  for (const char* url : {"ftp://h/", "http:///a", "//h/a", "a", "http://h/%2e%2e/b", "http://h/..",
                          "http://h/a/.%2E/../b", "http://h/a\\..\\..\\b"}) {
    EXPECT_EQ(link_to(url), "none") << url;
  }
}

TEST(PathLink, ASequenceNumberOfTheQueryMakesTheRequestBlocking) {
  for (const char* query :
       {"?_HLS_msn=7", "?a=b&_HLS_msn=7&_HLS_part=1", "?%5FHLS_msn=7", "?a=HLS&%5fHLS%5Fmsn=7"}) {
    EXPECT_TRUE(parse_path_link(std::string("/at/-/http/h/a") + query)->is_blocking) << query;
  }
  for (const char* query : {"", "?x_HLS_msn=7", "?a=_HLS_msn=7", "/&_HLS_msn=7", "?_HLS_part=1"}) {
    EXPECT_FALSE(parse_path_link(std::string("/at/-/http/h/a") + query)->is_blocking) << query;
  }
}

TEST(PathLink, CountsTheDirectoriesAboveADocument) {
  EXPECT_EQ(directories_above(""), 0U);
  EXPECT_EQ(directories_above("/a"), 0U);
  EXPECT_EQ(directories_above("/a//b"), 2U);
  EXPECT_EQ(directories_above("/a/../b/./c/"), 2U);
  EXPECT_EQ(directories_above("/../%2e%2E/a/%2e/b"), 1U);
}

TEST(PathLink, TheCarryMaySayThatATokenIsTheUpstreams) {
  const std::string carry = carry_of(kRawQuery, {});
  const auto request = parse_stream_request("/at/" + carry + "/http/h/a?sg_token=t&sg_token=u");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->token, "");
  EXPECT_EQ(request->upstream.path_and_query, "/a?sg_token=t&sg_token=u");
}

TEST(PathLink, LosesATokenThatIsTheUpstreams) {
  for (const char* query : {"?sg_token=x", "?a&sg_token=x", "?sg_tokens&sg_token"}) {
    EXPECT_TRUE(has_token(query)) << query;
    EXPECT_FALSE(is_relative_in_place("a" + std::string(query), 2)) << query;
  }
  for (const char* query : {"", "?", "?a=sg_token", "?my_sg_token=1"}) {
    EXPECT_FALSE(has_token(query)) << query;
    EXPECT_TRUE(is_relative_in_place("sg_token=a" + std::string(query), 2)) << query;
  }
}

TEST(PathLink, RelativeReferencesStayBelowTheRoot) {
  for (const char* reference :
       {"a", "a/b?../../..", "?x", "#f", "./a", "../a", "../../a", "a/../../../b", "12:30.ts",
        "%2e%2e/a", ".../a", "..a/../../../b", "a//../../../b", "..%2f../..", "$Number%05d$.m4s"}) {
    EXPECT_TRUE(is_relative_in_place(reference, 2)) << reference;
  }
  for (const char* reference :
       {"", "/a", "//h/a", "\\a", "a\\b", "http://h/a", "data:x", "../../../a", "a/../../../../b",
        "%2E./../..", "../../..", "./../../../a"}) {
    EXPECT_FALSE(is_relative_in_place(reference, 2)) << reference;
  }
}

// The glance may miss a reference that stays, but takes none that does not.
TEST(PathLink, APlainRelativeReferenceStaysInEveryDocument) {
  for (const char* reference : {"a", "seg-00001.ts?token=a=b&c", "video/1080p/segment_00001.m4s",
                                "?x", "#f", "a..b/c.d.ts", "$Number$.m4s", "a//b"}) {
    EXPECT_TRUE(is_plain_relative(reference)) << reference;
    EXPECT_TRUE(is_relative_in_place(reference, 0)) << reference;
  }
  const std::string name = "video/1080p/segment";
  for (const char* part : {"/.", "/..", "/../x", "|", "\\", "%", ":"}) {
    for (size_t place = 0; place <= name.size(); ++place) {
      std::string reference = name;
      reference.insert(place, part);
      EXPECT_FALSE(is_plain_relative(reference)) << reference;
    }
  }
  for (const char* reference : {"", "/a", "//h/a", ".", "./a", "../a", ".a", "http://h/a",
                                "a?sg_token=b", "?x&sg_token="}) {
    EXPECT_FALSE(is_plain_relative(reference)) << reference;
  }
}

// Browsers leave out blanks and control bytes before a reference, and tabs and line ends in it.
TEST(PathLink, AReferenceThatOnlyBrowsersTakeForAbsoluteStaysNot) {
  for (const char* reference : {" //h/a", "\x01//h/a", "\t/a", "ht\ttp://h/a", "http\n://h/a",
                                "h\rttp:a", "\x1fhttp://h/a", " a", "12\t:30.ts"}) {
    EXPECT_FALSE(is_relative_in_place(reference, 2)) << reference;
    EXPECT_FALSE(is_plain_relative(reference)) << reference;
  }
  for (const char* reference : {"a b", "a\tb.ts", "a?\t:"}) {
    EXPECT_TRUE(is_relative_in_place(reference, 2)) << reference;
  }
}

// To browsers these have a dot segment or a token.
TEST(PathLink, TabsAndLineEndsHideNothing) {
  for (const char* reference : {"a/\t../../../../x", "a/..\t/../../../x", ".\n./../../x",
                                ".\t./../..", "a/%\r2e%2e/../../../x", "../../.. ", "../../..\x01",
                                "a?sg_\ttoken=b", "a?x&\nsg_token=b"}) {
    EXPECT_FALSE(is_relative_in_place(reference, 2)) << reference;
    EXPECT_FALSE(is_plain_relative(reference)) << reference;
  }
  for (const char* reference : {"a/\t../x", "a/.\n./../x", ".\t./x", "a\tb/c.ts", "a\n"}) {
    EXPECT_TRUE(is_relative_in_place(reference, 2)) << reference;
    EXPECT_FALSE(is_plain_relative(reference)) << reference;
  }
}

TEST(PathLink, CountsTheDirectoriesBelowAnotherDocument) {
  for (const auto& [path, directories] : {std::pair{"", 2U},
                                          {"a", 2U},
                                          {"a/", 3U},
                                          {"../", 1U},
                                          {"..", 1U},
                                          {"a/..", 2U},
                                          {".", 2U},
                                          {"../../../..", 0U},
                                          {"../../../../a/b/c", 2U},
                                          {"a//./b/%2e%2E/c", 4U}}) {
    EXPECT_EQ(directories_below(2, path), directories) << path;
  }
}

}  // namespace
}  // namespace streamgate
