#include "master/service/status_report.h"

#include <gtest/gtest.h>

#include "common/counters.h"

namespace streamgate {
namespace {

StatusReport example() {
  StatusReport report;
  report.pid = 42;
  report.generation = 3;
  report.state = "serving";
  report.age_s = 61;
  report.written_us = 1'234'567;
  report.addresses = "127.0.0.1:8080,unix:/run/a b";
  report.workers = {{43, 0, 3, "ready", 60, 7, 2}, {41, 1, 2, "draining", 61, 1, 1}};
  report.totals.assign(kCounterCount, 9);
  return report;
}

TEST(StatusReport, HasOneLineForTheMasterEachOutcomeAndEachWorker) {
  const std::string text = print_status(example());
  EXPECT_EQ(0U, text.find("master pid=42 version="));
  EXPECT_NE(std::string::npos, text.find("\nreload sequence=0 started_us=0 result=none\n"));
  EXPECT_NE(std::string::npos,
            text.find("\nworker pid=43 slot=0 generation=3 state=ready age=60s connections=7 "
                      "exchanges=2\nworker pid=41 "));
  EXPECT_NE(std::string::npos, text.find("\ntotal connections_accepted=9 "));
  EXPECT_EQ('\n', text.back());
}

TEST(StatusReport, AReasonThatNeverOccurredIsLeftOut) {
  StatusReport report = example();
  report.totals.assign(kCounterCount, 0);
  report.totals.back() = 3;
  const std::string text = print_status(report);
  EXPECT_EQ("0", status_value(text, "total", "bytes_to_clients"));
  EXPECT_EQ("3", status_value(text, "total", "failed_internal"));
  EXPECT_EQ(std::nullopt, status_value(text, "total", "failed_loop"));
}

TEST(StatusReport, StatusValueReturnsAPrintedValue) {
  const std::string text = print_status(example());
  EXPECT_EQ("42", status_value(text, "master", "pid"));
  EXPECT_EQ("127.0.0.1:8080,unix:/run/a b", status_value(text, "master", "addresses"));
  EXPECT_EQ("1234567", status_value(text, "master", "written_us"));
  EXPECT_EQ("43", status_value(text, "worker", "pid"));
}

TEST(StatusReport, AReasonWithQuotesAndEqualSignsIsReadBack) {
  StatusReport report = example();
  report.reload.record(5, "c.yaml:2: a=\"b\\c\" sequence=7 is wrong");
  report.reload.record(6, report.reload.problem);
  const Outcome read = status_outcome(print_status(report), "reload");
  EXPECT_EQ(2U, read.sequence);
  EXPECT_EQ(6, read.started_us);
  EXPECT_EQ(report.reload.problem, read.problem);
}

TEST(StatusReport, ASuccessHasNoReason) {
  StatusReport report = example();
  report.reopen.record(5, "");
  const Outcome read = status_outcome(print_status(report), "reopen");
  EXPECT_EQ(1U, read.sequence);
  EXPECT_EQ("", read.problem);
}

TEST(StatusReport, OnlyAWholeTextIsAStatus) {
  StatusReport report = example();
  const std::string older = print_status(report);
  ++report.written_us;
  const std::string newer = print_status(report);
  EXPECT_TRUE(is_whole_status(newer));
  EXPECT_TRUE(is_whole_status(newer.substr(0, newer.size() - 1) + "   \n"));
  for (size_t size = 0; size < newer.size(); ++size) {
    EXPECT_FALSE(is_whole_status(newer.substr(0, size))) << size;
  }
  // One text over another of the same length, written up to some byte.
  ASSERT_EQ(newer.size(), older.size());
  const size_t middle = newer.size() / 2;
  EXPECT_FALSE(is_whole_status(newer.substr(0, middle) + older.substr(middle)));
  EXPECT_FALSE(is_whole_status(older.substr(0, middle) + newer.substr(middle)));
}

TEST(StatusReport, AMissingLineOrKeyIsNone) {
  const std::string text = print_status(example());
  EXPECT_EQ(std::nullopt, status_value(text, "master", "colour"));
  EXPECT_EQ(std::nullopt, status_value(text, "rel", "sequence"));
  EXPECT_EQ(std::nullopt, status_value("", "master", "pid"));
  EXPECT_EQ(std::nullopt, status_value("master", "master", "pid"));
  EXPECT_EQ(std::nullopt, status_value("master pid", "master", "pid"));
  EXPECT_EQ("\"", status_value("master pid=\"", "master", "pid"));
  EXPECT_EQ(0U, status_outcome("reload sequence=many\n", "reload").sequence);
}

}  // namespace
}  // namespace streamgate
