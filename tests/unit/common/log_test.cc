#include "common/log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace streamgate {
namespace {

TEST(LogQuote, PlainWordsStayAsTheyAre) {
  EXPECT_EQ("http://a/b?c", log::quote("http://a/b?c"));
  EXPECT_EQ("[::1]:80", log::quote("[::1]:80"));
}

TEST(LogQuote, BlanksQuotesAndControlBytesAreQuotedOrEscaped) {
  EXPECT_EQ("\"\"", log::quote(""));
  EXPECT_EQ("\"a b\"", log::quote("a b"));
  EXPECT_EQ("\"a=b\"", log::quote("a=b"));
  EXPECT_EQ("\"a\\\"b\\\\\"", log::quote("a\"b\\"));
  EXPECT_EQ("\"a\\x0ab\\x0d\\x00\\x7f\\xc3\"", log::quote(std::string("a\nb\r\0\x7f\xc3", 7)));
}

TEST(LogRedact, ReplacesUserinfoAndQueryValues) {
  EXPECT_EQ("http://h/p?token=*&x=*", log::redact("http://h/p?token=abc&x=1"));
  EXPECT_EQ("https://*@h/p", log::redact("https://user:pass@h/p"));
  EXPECT_EQ("http://*@h/p?a=*", log::redact("http://a@b@h/p?a=@"));
  EXPECT_EQ("http://h/@p", log::redact("http://h/@p"));
  EXPECT_EQ("http://h/p", log::redact("http://h/p"));
  EXPECT_EQ("/p?a=*&b&c=*", log::redact("/p?a=1&b&c="));
  EXPECT_EQ("http://h/?a=*", log::redact("http://h/?a=b=c"));
  EXPECT_EQ("", log::redact(""));
}

TEST(Log, AnEventIsOneLineOfTheConfiguredFile) {
  char path[] = "/tmp/streamgate-test-XXXXXX";
  ::close(::mkstemp(path));
  ASSERT_TRUE(log::open({LogLevel::warn, "off", path}));
  log::info("unseen.event");
  log::warn("some.event", {{"text", "two\nlines"}, {"number", 7}});
  ASSERT_TRUE(log::open({}));
  std::ifstream file(path);
  const std::string all{std::istreambuf_iterator<char>(file), {}};
  ::unlink(path);
  ASSERT_GT(all.size(), 24U);
  EXPECT_EQ('T', all[10]);
  EXPECT_EQ('Z', all[23]);  // 2026-01-02T03:04:05.678Z
  EXPECT_EQ(
      " warn some.event pid=" + std::to_string(::getpid()) + " text=\"two\\x0alines\" number=7\n",
      all.substr(24));
}

TEST(Log, AFailedOpenKeepsThePreviousLog) {
  EXPECT_FALSE(log::open({LogLevel::error, "off", "/nonexistent/log"}));
  EXPECT_TRUE(log::enabled(LogLevel::info));
}

}  // namespace
}  // namespace streamgate
