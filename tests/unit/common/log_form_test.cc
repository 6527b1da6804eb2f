#include "common/log_form.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace streamgate {
namespace {

constexpr const char* kTime = "2026-01-02T03:04:05.678Z ";

TEST(LogForm, TheLevelOfAnEventIsItsPriority) {
  const auto of = [](const std::string& level) {
    return with_priority(kTime + level + " worker.died pid=1\n").priority;
  };
  EXPECT_EQ(3, of("error"));
  EXPECT_EQ(4, of("warn"));
  EXPECT_EQ(6, of("info"));
  EXPECT_EQ(7, of("debug"));
  EXPECT_EQ(6, of("access"));
}

TEST(LogForm, TheTimeIsLeftOut) {
  EXPECT_EQ("<3>error a.b pid=1\n", journal_line(std::string(kTime) + "error a.b pid=1\n"));
  EXPECT_EQ("<6>access client=x\n", journal_line(std::string(kTime) + "access client=x\n"));
  EXPECT_EQ("<6>2026-01-02 error\n", journal_line("2026-01-02 error\n"));
  EXPECT_EQ("<6>{\"time\":1}\n", journal_line("{\"time\":1}\n"));
  EXPECT_EQ("<6>", journal_line(""));
  // A level counts only behind a time: a line of another form may begin with any word.
  EXPECT_EQ("<6>error x\n", journal_line("error x\n"));
}

TEST(LogForm, AJsonLineStaysWholeAndItsLevelIsItsPriority) {
  const auto line = [](const std::string& level, const std::string& event) {
    return R"({"time":"2026-01-02T03:04:05.678Z","level":")" + level + R"(","event":")" + event +
           R"(","x":"\",\"level\":\"error"})"
           "\n";
  };
  EXPECT_EQ("<3>" + line("error", "a.b"), journal_line(line("error", "a.b")));
  EXPECT_EQ("<4>" + line("warn", "a.b"), journal_line(line("warn", "a.b")));
  EXPECT_EQ("<7>" + line("debug", "a.b"), journal_line(line("debug", "a.b")));
  EXPECT_EQ("<6>" + line("error", "access"), journal_line(line("error", "access")));
  EXPECT_EQ("<6>{\"time\":\"x\n", journal_line("{\"time\":\"x\n"));
}

TEST(LogForm, MessagesOfTheProgramAreErrorsUnlessTheySayOtherwise) {
  EXPECT_EQ("<3>streamgate: f:1: x\n", journal_line("streamgate: f:1: x\n"));
  EXPECT_EQ("<4>streamgate: warning: x\n", journal_line("streamgate: warning: x\n"));
  EXPECT_EQ("<5>streamgate: note: x\n", journal_line("streamgate: note: x\n"));
}

TEST(LogForm, ASyslogMessageHasFacilityTagAndProcess) {
  SyslogConfig config;
  config.facility = SyslogFacility::local1;
  config.tag = "sg";
  const std::string message = syslog_message(std::string(kTime) + "error a.b pid=1\n", config);
  EXPECT_TRUE(message.starts_with("<139>")) << message;  // 17 * 8 + 3
  const std::string end = " sg[" + std::to_string(::getpid()) + "]: error a.b pid=1";
  EXPECT_TRUE(message.ends_with(end)) << message;
  EXPECT_EQ(std::string("<139>Jan 01 00:00:00").size() + end.size(), message.size());
  EXPECT_GT(size_t{61'000}, syslog_message(std::string(100'000, 'x'), config).size());
}

TEST(LogForm, TheJournalIsTheStreamOfTheVariable) {
  struct stat info {};
  ASSERT_EQ(0, ::fstat(STDIN_FILENO, &info));
  const std::string number = std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino);
  ::setenv("JOURNAL_STREAM", number.c_str(), 1);
  EXPECT_TRUE(is_journal(STDIN_FILENO));
  ::setenv("JOURNAL_STREAM", (number + "1").c_str(), 1);
  EXPECT_FALSE(is_journal(STDIN_FILENO));
  ::unsetenv("JOURNAL_STREAM");
  EXPECT_FALSE(is_journal(STDIN_FILENO));
}

}  // namespace
}  // namespace streamgate
