#include "worker/admin/admin_access.h"

#include <gtest/gtest.h>

namespace streamgate {
namespace {

// The token of the refusal; `ok` if there is none.
std::string_view origin_check(HeaderFields fields, std::vector<std::string> hosts = {}) {
  RequestHead request;
  request.fields = std::move(fields);
  AdminConfig config;
  config.hosts = std::move(hosts);
  const auto refusal = check_admin_origin(request, config);
  return refusal ? refusal->token : "ok";
}

std::string_view token_check(const char* secret, HeaderFields fields) {
  RequestHead request;
  request.fields = std::move(fields);
  AdminConfig config;
  config.token = Secret(secret);
  const auto refusal = check_admin_token(request, config);
  return refusal ? refusal->token : "ok";
}

TEST(AdminAccess, OnlyKnownHostsAreServed) {
  for (const char* host : {"1.2.3.4", "1.2.3.4:9090", "[2001:db8::1]", "[::1]:1", "localhost",
                           "LOCALHOST:80", "a.example:1"}) {
    EXPECT_EQ("ok", origin_check({{"Host", host}}, {"a.example"})) << host;
  }
  for (const char* host : {"", "b.example", "a.example.b", "localhost.b", "1.2.3.4.b", "[", "[]",
                           "[::1", ":80", "0x7f.1", "127.1"}) {
    EXPECT_EQ("host_forbidden", origin_check({{"Host", host}}, {"a.example"})) << host;
  }
  EXPECT_EQ("host_forbidden", origin_check({}));
}

TEST(AdminAccess, AForeignOriginIsRefused) {
  const auto with = [](const char* origin) {
    return origin_check({{"Host", "[::1]:9090"}, {"Origin", origin}});
  };
  EXPECT_EQ("ok", with("http://[::1]:9090"));
  EXPECT_EQ("ok", with("https://[::1]:9090"));
  for (const char* origin : {"null", "", "http://[::1]", "http://a.example", "[::1]:9090"}) {
    EXPECT_EQ("origin_forbidden", with(origin)) << origin;
  }
}

TEST(AdminAccess, FetchMetadataShowForeignRequests) {
  const auto check = [](const char* site, const char* dest) {
    return origin_check(
        {{"Host", "localhost"}, {"Sec-Fetch-Site", site}, {"Sec-Fetch-Dest", dest}});
  };
  EXPECT_EQ("ok", check("same-origin", "empty"));
  EXPECT_EQ("ok", check("none", "document"));
  EXPECT_EQ("ok", check("cross-site", "document"));
  EXPECT_EQ("origin_forbidden", check("cross-site", "image"));
  EXPECT_EQ("origin_forbidden", check("same-site", "script"));
}

TEST(AdminAccess, TheTokenMustBeEqual) {
  const auto with = [](const char* value) {
    return token_check("abc", {{"Authorization", value}});
  };
  EXPECT_EQ("ok", with("Bearer abc"));
  EXPECT_EQ("ok", with("BEARER   abc"));
  for (const char* value :
       {"Bearer ab", "Bearer abcd", "Bearer abcabc", "Bearer abd", "Bearer ABC", "Bearer "}) {
    EXPECT_EQ("token_invalid", with(value)) << value;
  }
  for (const char* value : {"", "abc", "Basic abc", "Bearerabc", "Bearer"}) {
    EXPECT_EQ("token_missing", with(value)) << value;
  }
  EXPECT_EQ("token_missing", token_check("abc", {}));
  EXPECT_EQ("ok", token_check("", {}));
}

}  // namespace
}  // namespace streamgate
