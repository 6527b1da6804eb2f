#include "worker/exchange/access_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "common/log.h"
#include "common/unique_fd.h"
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
    out.id = "gk3w0x9q2c7rm";
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
  AccessLog log(config, wheel, counters, {});
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
  EXPECT_EQ(got.substr(start),
            " access id=gk3w0x9q2c7rm client=192.0.2.1:40000 method=GET route=/stream status=200 "
            "reason=ok bytes=12 ms=0 upstream=\"https://*@up.example/a.ts?token=*&x=*\" "
            "upstream_status=200 attempts=2 "
            "reused=0 playlist=0\n");
}

TEST_F(AccessLogTest, LinesAreWrittenAfterAShortTime) {
  AccessLog log(config, wheel, counters, {});
  ASSERT_TRUE(log.open());
  log.write(record());
  EXPECT_EQ(text(), "");
  const int64_t limit = wheel.now_ms() + 5'000;
  while (text().empty() && wheel.now_ms() < limit) event_base_loop(base.get(), EVLOOP_ONCE);
  EXPECT_NE(text(), "");
}

TEST_F(AccessLogTest, ReopeningFollowsARotation) {
  AccessLog log(config, wheel, counters, {});
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
  AccessLog log(config, wheel, counters, {});
  EXPECT_FALSE(log.open());
  config.access = "/tmp/streamgate-access-none";
}

TEST_F(AccessLogTest, AReaderThatIsLateCostsLinesThatAreCountedOnce) {
  ::unlink(config.access.c_str());
  ASSERT_EQ(::mkfifo(config.access.c_str(), 0600), 0);
  AccessLog access_log(config, wheel, counters, {});
  ASSERT_TRUE(access_log.open());
  const UniqueFd reader(::open(config.access.c_str(), O_RDONLY | O_NONBLOCK));
  constexpr size_t kRecords = 5'000;
  for (size_t i = 0; i < kRecords; ++i) access_log.write(record());
  const std::string events_path = config.access + ".events";
  ASSERT_TRUE(log::open({LogLevel::info, "off", events_path}));
  std::string got;
  std::string piece(size_t{64} * 1024, '\0');
  for (ssize_t size = 0; (size = ::read(reader.get(), piece.data(), piece.size())) > 0;) {
    got.append(piece, 0, static_cast<size_t>(size));
    access_log.flush();
  }
  access_log.flush();
  ASSERT_TRUE(log::open({}));
  std::ifstream file(events_path);
  const std::string events{std::istreambuf_iterator<char>(file), {}};
  ::unlink(events_path.c_str());
  const auto lines = static_cast<size_t>(std::count(got.begin(), got.end(), '\n'));
  const uint64_t dropped = counters[Counter::access_lines_dropped].load();
  EXPECT_GT(dropped, 0U);
  EXPECT_EQ(lines + dropped, kRecords);
  EXPECT_EQ(got.back(), '\n');
  const std::string expected = " log=access count=" + std::to_string(dropped) + "\n";
  EXPECT_NE(events.find(expected), std::string::npos) << events;
  EXPECT_EQ(std::count(events.begin(), events.end(), '\n'), 1);
}

TEST_F(AccessLogTest, LinesThatAreLeftAtTheEndAreCountedAsDropped) {
  ::unlink(config.access.c_str());
  ASSERT_EQ(::mkfifo(config.access.c_str(), 0600), 0);
  const UniqueFd reader(::open(config.access.c_str(), O_RDONLY | O_NONBLOCK));
  const std::string events_path = config.access + ".events";
  ASSERT_TRUE(log::open({LogLevel::info, "off", events_path}));
  constexpr size_t kRecords = 1'000;  // fit into the kept bytes, but not into the FIFO
  {
    AccessLog access_log(config, wheel, counters, {});
    ASSERT_TRUE(access_log.open());
    for (size_t i = 0; i < kRecords; ++i) access_log.write(record());
    EXPECT_EQ(counters[Counter::access_lines_dropped].load(), 0U);
  }
  ASSERT_TRUE(log::open({}));
  std::ifstream file(events_path);
  const std::string events{std::istreambuf_iterator<char>(file), {}};
  ::unlink(events_path.c_str());
  std::string got(size_t{64} * 1024, '\0');
  const ssize_t size = ::read(reader.get(), got.data(), got.size());
  ASSERT_GT(size, 0);
  const auto written = static_cast<size_t>(std::count(got.begin(), got.begin() + size, '\n'));
  const uint64_t dropped = counters[Counter::access_lines_dropped].load();
  EXPECT_EQ(written + dropped, kRecords);
  EXPECT_NE(events.find(" log=access count=" + std::to_string(dropped) + "\n"), std::string::npos);
}

TEST_F(AccessLogTest, OffWritesNothing) {
  const std::string path = config.access;
  config.access = "off";
  {
    AccessLog log(config, wheel, counters, {});
    ASSERT_TRUE(log.open());
    log.write(record());
  }
  config.access = path;
  EXPECT_EQ(text(), "");
}

}  // namespace
}  // namespace streamgate
