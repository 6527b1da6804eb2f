// Sinks that nobody reads, and disks that are full: no write waits, and no part of a line stays.
#include "common/log_sink.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>

#include "common/pipe_pair.h"

namespace streamgate {
namespace {

const std::string kLine = std::string(99, 'x') + "\n";

class LogSinkTest : public testing::Test {
 protected:
  // A write that waits ends the test program.
  void SetUp() override { ::alarm(20); }
  void TearDown() override {
    ::alarm(0);
    if (!path_.empty()) ::unlink(path_.c_str());
  }

  // Writes until the sink refuses a line; returns the number of lines that it took.
  static size_t fill(LogSink& sink) {
    size_t lines = 0;
    while (sink.write(kLine) > 0) ++lines;
    return lines;
  }

  static std::string read_all(int fd) {
    ::fcntl(fd, F_SETFL, O_NONBLOCK);
    std::string out;
    char piece[4096];
    for (ssize_t got = 0; (got = ::read(fd, piece, sizeof piece)) > 0;) {
      out.append(piece, static_cast<size_t>(got));
    }
    return out;
  }

  // After the sink was full and has been read, it takes lines again.
  static void expect_whole_lines(LogSink& sink, int read_end) {
    const size_t taken = fill(sink);
    EXPECT_GE(taken, 10U);
    std::string expected;
    for (size_t i = 0; i < taken; ++i) expected += kLine;
    EXPECT_EQ(read_all(read_end), expected);
    EXPECT_EQ(sink.write("last\n"), 5U);
    EXPECT_EQ(read_all(read_end), "last\n");
  }

  std::string new_path() {
    char pattern[] = "/tmp/streamgate-sink-XXXXXX";
    UniqueFd(::mkstemp(pattern)).reset();
    return path_ = pattern;
  }

  std::string text() const {
    std::ifstream file(path_);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string path_;
};

TEST_F(LogSinkTest, AFullPipeRefusesLinesAndStaysBlockingForOthers) {
  const auto pipe = make_pipe();
  ASSERT_TRUE(pipe);
  LogSink sink = LogSink::inherited(pipe->write_end.get());
  expect_whole_lines(sink, pipe->read_end.get());
  EXPECT_EQ(::fcntl(pipe->write_end.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(LogSinkTest, APipeThatMustNotBeOpenedAgainRefusesLinesToo) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  const auto pipe = make_pipe();
  ASSERT_TRUE(pipe);
  ASSERT_EQ(::seteuid(65534), 0);
  LogSink sink = LogSink::inherited(pipe->write_end.get());
  ASSERT_EQ(::seteuid(0), 0);
  EXPECT_EQ(sink.fd(), pipe->write_end.get());
  expect_whole_lines(sink, pipe->read_end.get());
}

TEST_F(LogSinkTest, APipeWithoutAReaderRefusesLines) {
  ::signal(SIGPIPE, SIG_IGN);
  auto pipe = make_pipe();
  ASSERT_TRUE(pipe);
  LogSink before = LogSink::inherited(pipe->write_end.get());
  pipe->read_end.reset();
  LogSink after = LogSink::inherited(pipe->write_end.get());
  EXPECT_EQ(before.write(kLine), 0U);
  EXPECT_EQ(after.write(kLine), 0U);
}

TEST_F(LogSinkTest, AFullSocketRefusesLines) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  const UniqueFd read_end(ends[0]);
  const UniqueFd write_end(ends[1]);
  LogSink sink = LogSink::inherited(write_end.get());
  expect_whole_lines(sink, read_end.get());
  EXPECT_EQ(::fcntl(write_end.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(LogSinkTest, AStoppedTerminalRefusesLines) {
  const UniqueFd display(::posix_openpt(O_RDWR | O_NOCTTY));
  ASSERT_TRUE(display.valid());
  ASSERT_EQ(::grantpt(display.get()), 0);
  ASSERT_EQ(::unlockpt(display.get()), 0);
  const UniqueFd terminal(::open(::ptsname(display.get()), O_RDWR | O_NOCTTY));
  ASSERT_TRUE(terminal.valid());
  LogSink sink = LogSink::inherited(terminal.get());
  fill(sink);
  EXPECT_NE(read_all(display.get()), "");
  EXPECT_EQ(sink.write("last\n"), 5U);
  EXPECT_EQ(::fcntl(terminal.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(LogSinkTest, AFifoIsOpenedWithoutAReaderAndKeepsItsLines) {
  const std::string path = new_path();
  ASSERT_EQ(::unlink(path.c_str()), 0);
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  auto sink = LogSink::open(path);
  ASSERT_TRUE(sink);
  EXPECT_EQ(sink->write("first\n"), 6U);
  const UniqueFd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK));
  EXPECT_EQ(read_all(reader.get()), "first\n");
  expect_whole_lines(*sink, reader.get());
}

TEST_F(LogSinkTest, OnlyWholeLinesOfABlockAreWritten) {
  const auto pipe = make_pipe();
  ASSERT_TRUE(pipe);
  LogSink sink = LogSink::inherited(pipe->write_end.get());
  std::string block;
  while (block.size() < 200'000) block += kLine;
  const size_t written = sink.write(block);
  EXPECT_GT(written, 0U);
  EXPECT_LT(written, block.size());
  EXPECT_EQ(written % kLine.size(), 0U);
  EXPECT_EQ(read_all(pipe->read_end.get()), block.substr(0, written));
}

TEST_F(LogSinkTest, ALineThatAFullPipeHasCutIsCompletedFirst) {
  const auto pipe = make_pipe();
  ASSERT_TRUE(pipe);
  ASSERT_EQ(::fcntl(pipe->write_end.get(), F_SETPIPE_SZ, 4096), 4096);
  LogSink sink = LogSink::inherited(pipe->write_end.get());
  const std::string line = std::string(6'000, 'y') + "\n";
  EXPECT_EQ(sink.write(line), line.size());
  EXPECT_EQ(sink.write("next\n"), 0U);
  std::string got = read_all(pipe->read_end.get());
  EXPECT_EQ(got.size(), 4096U);
  EXPECT_EQ(sink.write("next\n"), 5U);
  got += read_all(pipe->read_end.get());
  EXPECT_EQ(got, line + "next\n");
}

// A limit of the file's size cuts a write as a full disk does.
class FullDisk : public LogSinkTest {
 protected:
  void SetUp() override {
    LogSinkTest::SetUp();
    ::signal(SIGXFSZ, SIG_IGN);
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before_), 0);
  }
  void TearDown() override {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    LogSinkTest::TearDown();
  }
  void set_room(rlim_t bytes) {
    const rlimit limit{bytes, before_.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  }

  rlimit before_{};
};

TEST_F(FullDisk, APartOfALineIsRemovedFromAFileOfOurs) {
  auto sink = LogSink::open(new_path());
  auto other = LogSink::open(path_);
  ASSERT_TRUE(sink && other);
  set_room(150);
  EXPECT_EQ(sink->write(kLine + kLine + kLine), kLine.size());
  EXPECT_EQ(sink->write(kLine), 0U);
  EXPECT_EQ(text(), kLine);
  set_room(before_.rlim_cur);
  EXPECT_EQ(other->write("other\n"), 6U);
  EXPECT_EQ(sink->write("last\n"), 5U);
  EXPECT_EQ(text(), kLine + "other\nlast\n");
}

TEST_F(FullDisk, ACutLineOfAnInheritedFileIsCompletedWhenThereIsRoom) {
  const UniqueFd file(::open(new_path().c_str(), O_WRONLY | O_APPEND));
  LogSink sink = LogSink::inherited(file.get());
  set_room(150);
  EXPECT_EQ(sink.write(kLine + kLine + kLine), 2 * kLine.size());
  EXPECT_EQ(sink.write("refused\n"), 0U);
  EXPECT_EQ(text().size(), 150U);
  set_room(before_.rlim_cur);
  EXPECT_EQ(sink.write("last\n"), 5U);
  EXPECT_EQ(text(), kLine + kLine + "last\n");
}

TEST_F(FullDisk, ACutLineIsNotCompletedBehindTheLineOfAnotherProcess) {
  const UniqueFd file(::open(new_path().c_str(), O_WRONLY | O_APPEND));
  LogSink sink = LogSink::inherited(file.get());
  LogSink other = LogSink::inherited(file.get());
  set_room(150);
  sink.write(kLine + kLine);
  set_room(before_.rlim_cur);
  EXPECT_EQ(other.write("other\n"), 6U);
  EXPECT_EQ(sink.write("last\n"), 5U);
  EXPECT_EQ(text(), kLine + kLine.substr(0, 50) + "other\nlast\n");
}

TEST(LogSink, AFullDeviceRefusesLines) {
  auto sink = LogSink::open("/dev/full");
  ASSERT_TRUE(sink);
  EXPECT_EQ(sink->write(kLine), 0U);
}

}  // namespace
}  // namespace streamgate
