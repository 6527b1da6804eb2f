#include "common/proxy_address.h"

#include <gtest/gtest.h>

namespace streamgate {
namespace {

TEST(ProxyAddress, ReadsEveryForm) {
  const auto plain = ProxyAddress::parse("HTTP://Proxy.Example:3128/");
  ASSERT_TRUE(plain.has_value());
  EXPECT_EQ(plain->kind, ProxyAddress::Kind::http);
  EXPECT_EQ(plain->host, "proxy.example");
  EXPECT_EQ(plain->port, 3128);
  EXPECT_EQ(plain->user, "");

  const auto socks = ProxyAddress::parse("socks5h://us%40er:p:w%2F@[::1]:1080");
  ASSERT_TRUE(socks.has_value());
  EXPECT_EQ(socks->kind, ProxyAddress::Kind::socks5);
  EXPECT_TRUE(socks->resolves_names);
  EXPECT_EQ(socks->host, "::1");
  EXPECT_EQ(socks->user, "us@er");
  EXPECT_EQ(socks->password, "p:w/");
  EXPECT_EQ(socks->for_log(), "socks5h://[::1]:1080");

  EXPECT_EQ(ProxyAddress::parse("none")->kind, ProxyAddress::Kind::none);
  EXPECT_FALSE(ProxyAddress::parse("socks5://a:1")->resolves_names);
}

TEST(ProxyAddress, TheTextParsesToAnEqualAddress) {
  for (const char* text : {"none", "http://a:80", "http://u:p@a:1", "socks5://u:@1.2.3.4:1080",
                           "socks5h://%C3%BC:%20%25@[2001:db8::1]:9"}) {
    const auto proxy = ProxyAddress::parse(text);
    ASSERT_TRUE(proxy.has_value()) << text;
    EXPECT_EQ(*ProxyAddress::parse(proxy->to_string()), *proxy) << proxy->to_string();
  }
}

TEST(ProxyAddress, RefusesMalformedTextsWithoutRepeatingCredentials) {
  const std::string long_user(256, 'a');
  for (const std::string text :
       {"", "a:1", "https://a:1", "socks4://a:1", "http://a", "http://[::1]", "http://a:0",
        "http://a:65536", "http://a:1/path", "http://a:1?q", "http://:secret@a:1", "http://@a:1",
        "http://u%3Av:secret@a:1", "http://u:secret%0D%0AX@a:1", "socks5://a b:1"}) {
    const auto proxy = ProxyAddress::parse(text);
    ASSERT_FALSE(proxy.has_value()) << text;
    EXPECT_EQ(proxy.error().detail.find("secret"), std::string::npos) << proxy.error().detail;
  }
  EXPECT_FALSE(ProxyAddress::parse("socks5://" + long_user + ":b@a:1").has_value());
}

}  // namespace
}  // namespace streamgate
