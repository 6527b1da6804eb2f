#include "master/config/open_proxy.h"

#include <gtest/gtest.h>

#include <string>

#include "master/config/loader.h"

namespace streamgate {
namespace {

std::string open_address_of(const std::string& text) {
  const auto loaded = parse_config(text, "f", {});
  EXPECT_TRUE(loaded.ok()) << text;
  const auto address = open_proxy_address(loaded.config);
  return address ? address->to_string() : "none";
}

TEST(OpenProxy, APublicOrWildcardAddressIsOpenWithoutTokensAndAllow) {
  EXPECT_EQ(open_address_of(""), "0.0.0.0:8080");
  EXPECT_EQ(open_address_of("listen: '[::]:80'"), "[::]:80");
  EXPECT_EQ(open_address_of("listen: [127.0.0.1:80, 203.0.113.7:80]"), "203.0.113.7:80");
  EXPECT_EQ(open_address_of("listen: '[2001:db8::1]:80'"), "[2001:db8::1]:80");
  EXPECT_EQ(open_address_of("security: {deny: [a.example]}"), "0.0.0.0:8080");
}

TEST(OpenProxy, LoopbackPrivateAndUnixAddressesAreNotOpen) {
  for (const char* address :
       {"127.0.0.1:80", "'[::1]:80'", "10.1.2.3:80", "172.16.0.1:80", "192.168.1.1:80",
        "169.254.1.1:80", "'[fd00::1]:80'", "'[fe80::1]:80'", "'unix:/run/x.sock'"}) {
    EXPECT_EQ(open_address_of(std::string("listen: ") + address), "none") << address;
  }
}

TEST(OpenProxy, TokensOrAListOfTargetsOrClientsCloseIt) {
  EXPECT_EQ(open_address_of("security: {clients: {allow: [203.0.113.0/24]}}"), "none");
  EXPECT_EQ(open_address_of("security: {clients: {deny: [203.0.113.0/24]}}"), "0.0.0.0:8080");
  EXPECT_EQ(open_address_of("security: {allow: ['*.cdn.example']}"), "none");
  EXPECT_EQ(open_address_of("security:\n"
                            "  auth: token\n"
                            "  keys: [{id: k, algorithm: HS256, secret: "
                            "0123456789abcdef0123456789abcdef}]\n"),
            "none");
}

}  // namespace
}  // namespace streamgate
