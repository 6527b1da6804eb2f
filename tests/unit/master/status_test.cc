// The status line and the report, built from a view of workers without processes.
#include "master/status.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"

namespace streamgate {
namespace {

class StatusTest : public testing::Test {
 protected:
  StatusTest() : workers_(make_workers()) {
    generation_.number = 3;
    generation_.places.resize(2);
  }

  // One ready worker and a draining one of the generation before.
  static Workers make_workers() {
    Scoreboard scoreboard = *Scoreboard::create(2);
    std::vector<WorkerProcess> workers;
    for (const auto order : {WorkerProcess::Order::serve, WorkerProcess::Order::drain}) {
      const bool serves = order == WorkerProcess::Order::serve;
      const unsigned slot_index = *scoreboard.take(1);
      Slot& slot = scoreboard.column(slot_index).slot;
      slot.state = serves ? WorkerState::ready : WorkerState::draining;
      slot.exchanges_now = slot_index + 5;
      count(slot.counters, Counter::bytes_to_clients, 10);
      const WorkerProcess::Identity identity{4711, slot_index, serves ? 3U : 2U, 0};
      workers.emplace_back(identity, slot, WorkerProcess::Standing{order, std::nullopt, true},
                           std::nullopt);
    }
    return {std::move(scoreboard), {}, std::move(workers)};
  }

  ServiceView view() const {
    return {generation_, workers_, "serving", held_, reload_, reopen_, monotonic_ms() - 61'000};
  }

  Generation generation_;
  Workers workers_;
  std::string held_;
  Outcome reload_;
  Outcome reopen_;
};

TEST_F(StatusTest, TheSummaryCountsServingAndDrainingWorkers) {
  EXPECT_EQ("serving, generation 3: 1 of 2 workers ready, 1 draining", summary_of(view()));
}

TEST_F(StatusTest, TheSummaryHasTheHeldReloadAndTheLastOutcomeOnOneLine) {
  held_ = "it waits";
  reload_.record(1, "");
  EXPECT_TRUE(summary_of(view()).ends_with("; a reload is held: it waits; last reload ok"));
  reload_.record(2, "two\nlines");
  const std::string summary = summary_of(view());
  EXPECT_NE(std::string::npos, summary.find("; last reload failed: \"two"));
  EXPECT_EQ(std::string::npos, summary.find('\n'));
}

TEST_F(StatusTest, TheReportHasEveryWorkerAndTheTotalsOverAll) {
  reload_.record(1, "no");
  const StatusReport report = report_of(view());
  EXPECT_EQ(::getpid(), report.pid);
  EXPECT_EQ(3U, report.generation);
  EXPECT_EQ(61, report.age_s);
  EXPECT_EQ(2U, report.workers_wanted);
  EXPECT_EQ("no", report.reload.problem);
  EXPECT_EQ(0U, report.reopen.sequence);
  ASSERT_EQ(2U, report.workers.size());
  EXPECT_EQ("ready", report.workers[0].state);
  EXPECT_EQ("draining", report.workers[1].state);
  EXPECT_EQ(2U, report.workers[1].generation);
  EXPECT_EQ(6U, report.workers[1].exchanges);
  const std::string text = print_status(report);
  EXPECT_EQ("20", status_value(text, "total", "bytes_to_clients"));
}

}  // namespace
}  // namespace streamgate
