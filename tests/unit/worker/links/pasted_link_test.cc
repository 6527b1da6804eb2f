#include "worker/links/pasted_link.h"

#include <gtest/gtest.h>

#include <string>

namespace streamgate {
namespace {

constexpr const char* kQuery = "/stream?url=http%3A%2F%2Fup.example%2Fa.ts";
constexpr const char* kNamed = "/stream/a.ts?url=https%3A%2F%2Fup.example%2Fa.ts&referer=x";
constexpr const char* kPath = "/at/-/https/up.example/a.ts?b=c";
constexpr const char* kCarry = "/at/aF9YLUE9MQ/http/up.example/stream?url=x";  // h_X-A=1

TEST(PastedLink, ALinkOfAnyHostIsFound) {
  for (const std::string target : {kQuery, kNamed, kPath, kCarry}) {
    for (const char* origin : {"", "https://tv.example", "HTTP://[::1]:8080"}) {
      const std::string link = origin + target;
      EXPECT_EQ(target_of_pasted_link(link, ""), target) << link;
      EXPECT_EQ(target_of_pasted_link(" " + link + "\r\n", ""), target) << link;
    }
    const std::string other_route = "/api/proxy" + target;
    EXPECT_EQ(target_of_pasted_link("https://tv.example" + other_route, ""), other_route);
  }
}

TEST(PastedLink, ALinkBehindThePublicUrlIsFound) {
  const std::string public_url = "https://tv.example/x-(1)";
  EXPECT_EQ(target_of_pasted_link(public_url + kQuery, public_url), kQuery);
  EXPECT_EQ(target_of_pasted_link(public_url + "/a.ts", public_url), "");
}

TEST(PastedLink, ACompleteLinkBehindAnyPrefixIsFound) {
  for (const std::string prefix : {"/x", "/x/y.z", "/x/", "/at"}) {
    for (const std::string target : {kQuery, kNamed, kPath, kCarry}) {
      EXPECT_EQ(target_of_pasted_link("https://tv.example" + prefix + target, ""), target);
      EXPECT_EQ(target_of_pasted_link(prefix + target, ""), target);
    }
  }
}

TEST(PastedLink, TheUrlOfAnUpstreamIsNoLink) {
  for (const char* const url : {
           "",
           "https://up.example",
           "https://up.example/",
           "https://up.example/stream",
           "https://up.example/at/-/a.ts",
           // Behind a prefix a link is complete.
           "https://up.example/x/stream?id=1&url=http%3A%2F%2Fa",
           "https://up.example/x/stream?url=12",
           "https://up.example/x/streams?url=http%3A%2F%2Fa",
           "https://up.example/x/at/!/http/a",
           "https://up.example/x/at/-/ftp/a",
           // No front has such a prefix.
           "https://up.example/x//y/stream?url=http%3A%2F%2Fa",
           "https://up.example/x/../y/stream?url=http%3A%2F%2Fa",
           "https://up.example/x:y/stream?url=http%3A%2F%2Fa",
           // A link in a query or a fragment is not the path.
           "https://up.example/?next=/x/stream?url=http%3A%2F%2Fa",
           "ftp://up.example/x/stream?url=http%3A%2F%2Fa",
       }) {
    EXPECT_EQ(target_of_pasted_link(url, ""), "") << url;
  }
}

}  // namespace
}  // namespace streamgate
