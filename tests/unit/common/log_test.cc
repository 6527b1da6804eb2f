#include "common/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include "common/unique_fd.h"

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

TEST(LogRedact, MasksEverySecretOfAUrl) {
  const std::pair<const char*, const char*> table[] = {
      {"", ""},
      {"http://h/p", "http://h/p"},
      {"http://[::1]:80/p", "http://[::1]:80/p"},
      // userinfo
      {"https://user:pass@h/p", "https://*@h/p"},
      {"http://TOKEN@h", "http://*@h"},
      {"http://a@b@h/p?a=@", "http://*@h/p?a=*"},
      {"http://us;er:pass@h/p", "http://*@h/p"},
      {"//user:pass@h/p", "//*@h/p"},
      {"http://proxy/http://user:pass@h/p", "http://proxy/http://*@h/p"},
      {"http://h/@p", "http://h/@p"},
      {"/a//b@c", "/a//b@c"},
      // query
      {"http://h/p?token=abc&x=1", "http://h/p?token=*&x=*"},
      {"http://h/p?TOKEN", "http://h/p?*"},
      {"http://h/p?TOKEN&a=1&TOKEN", "http://h/p?*&a=*&*"},
      {"/p?a=1&b&c=", "/p?a=*&*&c=*"},
      {"http://h/?a=b=c", "http://h/?a=*"},
      {"http://h/?=TOKEN", "http://h/?*"},
      {"http://h/?VE9LRU4==", "http://h/?*"},
      {"http://h/?0123456789012345678901234567890123=", "http://h/?*"},
      {"http://h/?a/b=1", "http://h/?*"},
      {"http://h/p?", "http://h/p?"},
      {"http://h/p?a=1&&b=2", "http://h/p?a=*&&b=*"},
      {"http://h/p?u=http://x:y@z/", "http://h/p?u=*"},
      // a second `?`
      {"http://h/p?a=1?TOKEN", "http://h/p?a=*"},
      {"http://h/p?TOKEN?TOKEN", "http://h/p?*"},
      {"http://h/p?TOKEN?a=1", "http://h/p?*"},
      {"http://h/p?a=1?b=2&c=3", "http://h/p?a=*&c=*"},
      {"http://h/p?a=1?TOKEN=x?y", "http://h/p?a=*"},
      // path parameters
      {"http://h/p;token=abc/q;TOKEN?a=1", "http://h/p;token=*/q;*?a=*"},
      {"http://h/p;a=1;TOKEN;b=2", "http://h/p;a=*;*;b=*"},
      {"seg.ts;token=abc", "seg.ts;token=*"},
      {"http://h/p;", "http://h/p;"},
      // fragment
      {"http://h/p#TOKEN", "http://h/p#*"},
      {"http://h/p?a=1#TOKEN&b=2?c", "http://h/p?a=*#*"},
      {"http://h/p;a=1#TOKEN", "http://h/p;a=*#*"},
      {"http://h#TOKEN@x", "http://h#*"},
      // a link of the path form
      {"http://us/at/Q0FSUlk/https/h:1/p?a=1", "http://us/at/*/https/h:1/p?a=*"},
      {"/api/proxy/at/Q0FSUlk/HTTP/h/at/x", "/api/proxy/at/*/HTTP/h/at/x"},
      {"/at/-/http/user:pass@h/p;a=1", "/at/-/http/*@h/p;a=*"},
      {"/at/-/https/us/at/Q0FSUlk/https/h", "/at/-/https/us/at/*/https/h"},
      {"http://h/at/a/ftp/b", "http://h/at/a/ftp/b"},
      {"http://h/at/http/", "http://h/at/http/"},
      {"http://h/at/a/http", "http://h/at/a/http"},
      {"http://h/at", "http://h/at"},
      // a sentence
      {"truncated; not resumed: http://h/p;k=v", "truncated; not resumed: http://h/p;k=*"},
      {"cannot connect to http://user:pass@h/p", "cannot connect to http://*@h/p"},
  };
  for (const auto& [url, expected] : table) EXPECT_EQ(expected, log::redact(url)) << url;
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

TEST(Log, DroppedLinesAreCountedAndReportedOnce) {
  char path[] = "/tmp/streamgate-test-XXXXXX";
  ::close(::mkstemp(path));
  ::unlink(path);
  ASSERT_EQ(0, ::mkfifo(path, 0600));
  ASSERT_TRUE(log::open({LogLevel::info, "off", path}));
  const UniqueFd reader(::open(path, O_RDONLY | O_NONBLOCK));
  const auto read_all = [&] {
    std::string out(size_t{1024} * 1024, '\0');
    const ssize_t got = ::read(reader.get(), out.data(), out.size());
    out.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
    return out;
  };
  const auto count_of = [](const std::string& text, std::string_view word) {
    size_t count = 0;
    for (size_t at = 0; (at = text.find(word, at)) != std::string::npos; ++at) ++count;
    return count;
  };
  constexpr size_t kEvents = 2'000;
  // Shorter than the report, which therefore does not fit into the rest of the pipe.
  for (size_t i = 0; i < kEvents; ++i) log::info("some.event");
  log::report_dropped();
  const std::string first = read_all();
  EXPECT_EQ(first.find("log.dropped"), std::string::npos);
  log::info("later.event");
  const std::string second = read_all();
  log::report_dropped();
  EXPECT_EQ(read_all(), "");
  ASSERT_TRUE(log::open({}));
  ::unlink(path);
  EXPECT_EQ(first.back(), '\n');
  const size_t dropped = kEvents - count_of(first, "some.event");
  EXPECT_GT(dropped, 0U);
  EXPECT_EQ(count_of(second, "\n"), 2U);
  EXPECT_NE(second.find(" warn log.dropped pid=" + std::to_string(::getpid()) +
                        " log=events count=" + std::to_string(dropped) + "\n"),
            std::string::npos)
      << second;
  EXPECT_LT(second.find("log.dropped"), second.find("later.event"));
}

// The text that `write` logs with that configuration.
template <class Write>
std::string logged(LogConfig config, Write write) {
  char path[] = "/tmp/streamgate-test-XXXXXX";
  ::close(::mkstemp(path));
  config.error = path;
  EXPECT_TRUE(log::open(config));
  write();
  EXPECT_TRUE(log::open({}));
  std::ifstream file(path);
  std::string all{std::istreambuf_iterator<char>(file), {}};
  ::unlink(path);
  return all;
}

TEST(Log, JsonHasOneObjectForEachEvent) {
  LogConfig config;
  config.format = LogFormat::json;
  const std::string got = logged(config, [] {
    log::warn("some.event", {{"text", "a\"\n\xff"}, {"number", 7}, {"digits", "7"}});
  });
  ASSERT_TRUE(got.starts_with("{\"time\":\"")) << got;
  EXPECT_EQ(
      "Z\",\"level\":\"warn\",\"event\":\"some.event\",\"pid\":" + std::to_string(::getpid()) +
          R"(,"text":"a\"\u000a\ufffd","number":7,"digits":"7"})" + "\n",
      got.substr(got.find('Z')));
}

TEST(Log, ALevelOfAnEventWinsOverThatOfItsAreaAndTheGlobalOne) {
  LogConfig config;
  config.level = LogLevel::warn;
  config.levels = {{"dns.*", std::nullopt},
                   {"dns.server_silent", LogLevel::warn},
                   {"tls.handshake_failed", LogLevel::debug},
                   {"worker.*", LogLevel::info}};
  const std::string got = logged(config, [] {
    EXPECT_TRUE(log::enabled(LogLevel::debug));
    log::warn("dns.server_answers");
    log::warn("dns.server_silent");
    log::info("dns.server_silent");
    log::debug("tls.handshake_failed");
    log::debug("tls.other");
    log::debug("worker.ready");
    log::info("worker.left");
    log::info("workers.left");
    log::error("reload.failed");
  });
  std::string events;
  for (size_t at = 0; (at = got.find(" pid=", at)) != got.npos; ++at) {
    events += got.substr(got.rfind(' ', at - 1), at - got.rfind(' ', at - 1));
  }
  EXPECT_EQ(events, " dns.server_silent tls.handshake_failed worker.left reload.failed");
  EXPECT_FALSE(log::enabled(LogLevel::debug));
}

TEST(Log, ALongValueIsCut) {
  for (const char byte : {'a', '\x01', '"'}) {
    const std::string got = logged({}, [byte] {
      log::warn("some.event", {{"text", std::string(5'000, byte)}});
    });
    EXPECT_LT(got.size(), 2'200U);
    EXPECT_NE(got.find("..."), std::string::npos);
  }
  std::string out = "x";
  log::append_quoted("abcdefghij", 10, out);
  EXPECT_EQ(out, "xabcdefghij");
  out.clear();
  log::append_quoted("ab cdefghijkl", 12, out);
  EXPECT_EQ(out, R"("ab c...")") << out;
  for (size_t most = 8; most < 40; ++most) {
    for (const char byte : {'a', ' ', '\x01', '"'}) {
      out.clear();
      log::append_quoted(std::string(50, byte), most, out);
      EXPECT_LE(out.size(), most) << out;
    }
  }
}

TEST(Log, AFailedOpenKeepsThePreviousLog) {
  EXPECT_FALSE(log::open({LogLevel::error, "off", "/nonexistent/log"}));
  EXPECT_TRUE(log::enabled(LogLevel::info));
}

}  // namespace
}  // namespace streamgate
