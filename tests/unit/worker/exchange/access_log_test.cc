#include "worker/exchange/access_log.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "worker/loop/event.h"

namespace streamgate {
namespace {

class AccessLogTest : public testing::Test {
 protected:
  AccessLogTest() {
    char path[] = "/tmp/streamgate-access-XXXXXX";
    UniqueFd(::mkstemp(path)).reset();
    config.access = path;
  }
  ~AccessLogTest() override { ::unlink(config.access.c_str()); }

  std::string text() const {
    std::ifstream file(config.access);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  AccessRecord record() {
    AccessRecord out{client};
    out.method = "GET";
    out.route = "/stream";
    out.status = 200;
    out.reason = "ok";
    out.body_bytes = 12;
    return out;
  }

  EventBase base{event_base_new()};
  TimerWheel wheel{base.get()};
  LogConfig config;
  Counters counters;
  std::string client = "192.0.2.1:40000";
};

TEST_F(AccessLogTest, OneLineWithStableKeysAndWithoutSecrets) {
  AccessLog log(config, wheel, counters);
  ASSERT_TRUE(log.open());
  AccessRecord line = record();
  line.upstream = "https://user:pass@up.example/a.ts?token=secret&x=1";
  line.upstream_status = 200;
  line.attempts = 2;
  log.write(line);
  log.flush();
  const std::string got = text();
  const size_t start = got.find(" access ");
  ASSERT_NE(start, std::string::npos);
  EXPECT_EQ(
      got.substr(start),
      " access client=192.0.2.1:40000 method=GET route=/stream status=200 reason=ok bytes=12 "
      "ms=0 upstream=\"https://*@up.example/a.ts?token=*&x=*\" upstream_status=200 attempts=2 "
      "reused=0 playlist=0\n");
}

TEST_F(AccessLogTest, LinesAreWrittenAfterAShortTime) {
  AccessLog log(config, wheel, counters);
  ASSERT_TRUE(log.open());
  log.write(record());
  EXPECT_EQ(text(), "");
  const int64_t limit = wheel.now_ms() + 5'000;
  while (text().empty() && wheel.now_ms() < limit) event_base_loop(base.get(), EVLOOP_ONCE);
  EXPECT_NE(text(), "");
}

TEST_F(AccessLogTest, ReopeningFollowsARotation) {
  AccessLog log(config, wheel, counters);
  ASSERT_TRUE(log.open());
  const std::string old_path = config.access + ".1";
  ASSERT_EQ(::rename(config.access.c_str(), old_path.c_str()), 0);
  log.write(record());
  ASSERT_TRUE(log.open());
  log.write(record());
  log.flush();
  struct stat old_file {};
  ASSERT_EQ(::stat(old_path.c_str(), &old_file), 0);
  EXPECT_GT(old_file.st_size, 0);
  EXPECT_NE(text(), "");
  ::unlink(old_path.c_str());
}

TEST_F(AccessLogTest, AFileThatCannotBeOpenedIsAnError) {
  config.access = "/nonexistent/dir/log";
  AccessLog log(config, wheel, counters);
  EXPECT_FALSE(log.open());
  config.access = "/tmp/streamgate-access-none";
}

TEST_F(AccessLogTest, OffWritesNothing) {
  const std::string path = config.access;
  config.access = "off";
  {
    AccessLog log(config, wheel, counters);
    ASSERT_TRUE(log.open());
    log.write(record());
  }
  config.access = path;
  EXPECT_EQ(text(), "");
}

}  // namespace
}  // namespace streamgate
