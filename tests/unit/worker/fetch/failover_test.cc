#include "worker/fetch/failover.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>

#include "worker/loop/event.h"

namespace streamgate {
namespace {

int64_t now_ms = 0;

class FailoverTest : public testing::Test {
 protected:
  FailoverTest() {
    now_ms = 1'000'000;
    assignments[0].generation = assignments[1].generation = 1;
  }

  static HttpUrl url(const std::string& host, const std::string& path = "/") {
    return parse_http_url("http://" + host + path).value();
  }
  Failover failover() { return Failover({{url("a")}, {url("b")}, {url("c")}}, marks); }
  // The hosts in the order in which they are tried.
  static std::string order(Failover failover) {
    std::string out = failover.current().url.host;
    while (failover.advance()) out += failover.current().url.host;
    return out;
  }

  EventBase base{event_base_new()};
  TimerWheel wheel{base.get(), [] { return now_ms; }};
  UpstreamConfig config;
  Board board;
  std::array<Assignment, 3> assignments;  // of two workers, and a slot that no worker has
  const std::unique_ptr<Column[]> columns = std::make_unique<Column[]>(3);
  const ScoreboardView scoreboard{board, assignments, {columns.get(), 3}};
  OriginMarks marks{config, wheel, columns[0], scoreboard};
  OriginMarks other_worker{config, wheel, columns[1], scoreboard};
  OriginMarks dead_worker{config, wheel, columns[2], scoreboard};
};

TEST_F(FailoverTest, TheOrderIsThatOfTheLink) { EXPECT_EQ(order(failover()), "abc"); }

TEST_F(FailoverTest, OriginsThatAreDownComeLastForAWhile) {
  marks.set_down(url("a"));
  EXPECT_EQ(order(failover()), "bca");
  marks.set_down(url("b"));
  marks.set_down(url("c"));
  EXPECT_EQ(order(failover()), "abc");
  marks.set_up(url("b"));
  EXPECT_EQ(order(failover()), "bac");
  now_ms += 30'000;
  EXPECT_EQ(order(failover()), "abc");
}

TEST_F(FailoverTest, AnOriginIsItsNameAndPort) {
  marks.set_down(url("a:81"));
  EXPECT_FALSE(marks.is_down(url("a")));
  EXPECT_TRUE(marks.is_down(url("a:81", "/other?path")));
}

TEST_F(FailoverTest, ALinkStaysWithTheUrlThatAnsweredAndThenReturns) {
  Failover first = failover();
  first.advance();
  first.advance();
  first.on_answer();
  EXPECT_EQ(order(failover()), "cab");
  EXPECT_EQ(order(Failover({{url("a")}, {url("c")}}, marks)), "ac");  // another link
  now_ms += 599'000;
  Failover second = failover();
  EXPECT_EQ(second.current().url.host, "c");
  second.on_answer();  // does not stay for longer
  now_ms += 1'000;
  EXPECT_EQ(order(failover()), "abc");
}

TEST_F(FailoverTest, TheQueryIsNotPartOfTheKeyOfALink) {
  Failover first({{url("a", "/x?t=1")}, {url("b", "/x")}}, marks);
  first.advance();
  first.on_answer();
  EXPECT_EQ(order(Failover({{url("a", "/x?t=2")}, {url("b", "/x")}}, marks)), "ba");
  EXPECT_EQ(order(Failover({{url("a", "/y")}, {url("b", "/x")}}, marks)), "ab");
}

TEST_F(FailoverTest, AnAnswerEndsTheMarkOfItsOrigin) {
  marks.set_down(url("a"));
  Failover last = failover();
  last.advance();
  last.advance();
  last.on_answer();
  EXPECT_FALSE(marks.is_down(url("a")));
}

TEST_F(FailoverTest, LiveWorkersSeeTheMarksOfEachOtherAndTheNewestCounts) {
  other_worker.set_down(url("a"));
  dead_worker.set_down(url("b"));
  EXPECT_TRUE(marks.is_down(url("a")));
  EXPECT_FALSE(marks.is_down(url("b")));
  now_ms += 1'000;
  marks.set_up(url("a"));
  EXPECT_FALSE(other_worker.is_down(url("a")));
  now_ms += 1'000;
  other_worker.set_down(url("a"));
  EXPECT_TRUE(marks.is_down(url("a")));
  other_worker.keep(7, 2);
  EXPECT_EQ(marks.kept(7), 2U);
}

TEST(MarkTable, ForgetsTheOldestOfASet) {
  MarkTable table;
  constexpr uint64_t kStep = uint64_t{1} << 27U;  // the same set, another tag
  for (uint64_t i = 1; i <= 5; ++i) table.put(i * kStep, 1, static_cast<int64_t>(i) * 1000);
  EXPECT_FALSE(table.find(kStep, 6000).has_value());
  for (uint64_t i = 2; i <= 5; ++i) {
    const auto mark = table.find(i * kStep, 6000);
    ASSERT_TRUE(mark.has_value()) << i;
    EXPECT_EQ(mark->age.count(), 6000 - static_cast<int64_t>(i) * 1000);
  }
  table.put(2 * kStep, 3, 7000);
  EXPECT_EQ(table.find(2 * kStep, 7000)->value, 3U);
  EXPECT_TRUE(table.find(3 * kStep, 7000).has_value());
}

}  // namespace
}  // namespace streamgate
