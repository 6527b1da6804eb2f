#include "common/service_survey.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace streamgate {
namespace {

constexpr int64_t kNow = 1'000'000;

class ServiceSurveyTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = Scoreboard::create(4);
    ASSERT_TRUE(made);
    board_.emplace(*std::move(made));
  }

  Column& add_worker(WorkerState state) {
    const auto slot = board_->take(3);
    EXPECT_TRUE(slot);
    Column& column = board_->column(*slot);
    column.slot.state = state;
    column.slot.beat_ms = kNow;
    column.slot.started_ms = kNow - 5'000;
    return column;
  }

  static void add_stream(Column& column, size_t row, int64_t started_ms, const char* upstream) {
    StreamFacts facts;
    facts.started_ms = started_ms;
    facts.bytes = 12;
    facts.kind = FixedText<12>("file");
    facts.upstream = FixedText<256>(upstream);
    column.streams.rows[row].put(facts);
    count(column.slot.exchanges_now);
  }

  static void add_host(Column& column, size_t row, const char* host, uint64_t failed,
                       int64_t last_ms) {
    HostFailures entry;
    entry.host = FixedText<96>(host);
    entry.failed = failed;
    entry.last_ms = last_ms;
    entry.last = FixedText<24>(std::to_string(failed));
    column.host_failures.rows[row].put(entry);
  }

  ServiceSurvey look() const {
    return survey(board_->view(), kNow, std::chrono::milliseconds(10'000));
  }

  std::optional<Scoreboard> board_;
};

TEST_F(ServiceSurveyTest, AServiceIsReadyIfAReadyWorkerHasABeat) {
  EXPECT_FALSE(look().is_ready);
  Column& worker = add_worker(WorkerState::starting);
  EXPECT_FALSE(look().is_ready);
  worker.slot.state = WorkerState::ready;
  EXPECT_TRUE(look().is_ready);
  worker.slot.beat_ms = kNow - 10'000;
  EXPECT_FALSE(look().is_ready);
  add_worker(WorkerState::draining);
  EXPECT_FALSE(look().is_ready);
  add_worker(WorkerState::ready);
  EXPECT_TRUE(look().is_ready);
  board_->board().service_leaving = 1;
  EXPECT_FALSE(look().is_ready);
  board_->board().service_leaving = 0;
  board_->board().service_stopping = true;
  EXPECT_FALSE(look().is_ready);
}

TEST_F(ServiceSurveyTest, HasTheStreamsOfAllWorkersTheOldestFirst) {
  Column& one = add_worker(WorkerState::ready);
  Column& other = add_worker(WorkerState::draining);
  add_stream(one, 3, kNow - 10, "http://b.example/");
  add_stream(other, 0, kNow - 20, "http://a.example/");
  one.streams.rows[4].put({});  // a row that is free again
  const ServiceSurvey found = look();
  ASSERT_EQ(2U, found.streams.size());
  EXPECT_EQ("http://a.example/", found.streams[0].facts.upstream.view());
  EXPECT_EQ(1U, found.streams[0].slot);
  EXPECT_EQ(2U, found.exchanges());
}

TEST_F(ServiceSurveyTest, TheColumnOfNoWorkerIsNotRead) {
  Column& gone = add_worker(WorkerState::ready);
  add_stream(gone, 0, kNow, "http://a.example/");
  board_->retire(0);
  EXPECT_TRUE(look().streams.empty());
  EXPECT_TRUE(look().workers.empty());
}

TEST_F(ServiceSurveyTest, FailuresOfAHostAreAddedUpOverAllWorkers) {
  Column& one = add_worker(WorkerState::ready);
  Column& other = add_worker(WorkerState::ready);
  add_host(one, 0, "a.example:80", 2, kNow - 1);
  add_host(one, 1, "b.example:80", 4, kNow - 1);
  add_host(other, 7, "a.example:80", 3, kNow - 2);
  const ServiceSurvey found = look();
  ASSERT_EQ(2U, found.hosts.size());
  EXPECT_EQ("a.example:80", found.hosts[0].host.view());
  EXPECT_EQ(5U, found.hosts[0].failed);
  EXPECT_EQ("2", found.hosts[0].last.view());  // the newest
  for (size_t row = 8; row < 40; ++row) {
    add_host(other, row, ("h" + std::to_string(row)).c_str(), 1, kNow);
  }
  EXPECT_EQ(20U, look().hosts.size());
}

TEST_F(ServiceSurveyTest, TheCertificateOfAWorkerThatDrainsDoesNotCount) {
  add_worker(WorkerState::draining).slot.certificates_expire = 5;
  EXPECT_EQ(0, look().certificates_expire);
  add_worker(WorkerState::ready).slot.certificates_expire = 9;
  add_worker(WorkerState::ready).slot.certificates_expire = 8;
  EXPECT_EQ(8, look().certificates_expire);
}

TEST_F(ServiceSurveyTest, PrintsJson) {
  ServiceFacts facts;
  facts.generation = 3;
  facts.state = FixedText<16>("serving");
  facts.reload = {2, 1, FixedText<256>("c.yaml:2: \"x\" is\nwrong")};
  board_->board().facts.put(facts);
  Column& worker = add_worker(WorkerState::ready);
  worker.slot.certificates_expire = 1'000'000'000;
  add_stream(worker, 0, kNow - 3'000, "http://a.example/\xff\"");
  add_host(worker, 0, "a.example:80", 2, kNow - 4'000);
  count(worker.slot.counters, Counter::exchanges_started, 7);
  count(worker.slot.counters, Counter::connect_ms_3, 1);
  const auto status = nlohmann::json::parse(print_status_json(look()));
  EXPECT_EQ("serving", status["service"]["state"]);
  EXPECT_EQ(true, status["service"]["ready"]);
  EXPECT_EQ("2001-09-09T01:46:40Z", status["service"]["certificates_expire"]);
  EXPECT_EQ("failed", status["reload"]["result"]);
  EXPECT_EQ("c.yaml:2: \"x\" is\nwrong", status["reload"]["problem"]);
  EXPECT_EQ(5, status["workers"][0]["age_s"]);
  EXPECT_EQ(7, status["counters"]["exchanges_started"]);
  EXPECT_FALSE(status["counters"].contains("connect_ms_3"));
  EXPECT_EQ(8, status["durations"]["connect"]["p99_ms_at_most"]);
  EXPECT_EQ("a.example:80", status["hosts"][0]["host"]);
  EXPECT_EQ(4, status["hosts"][0]["last_age_s"]);
  EXPECT_EQ(3, status["streams"][0]["age_s"]);
  EXPECT_EQ("http://a.example/\xef\xbf\xbd\"", status["streams"][0]["upstream"]);
  EXPECT_TRUE(status["streams"][0]["id"].is_null());
  const auto streams = nlohmann::json::parse(print_streams_json(look()));
  EXPECT_EQ(status["streams"], streams["streams"]);
  EXPECT_EQ(1, streams["exchanges"]);
}

TEST_F(ServiceSurveyTest, PrintsOneLineForEachStream) {
  Column& worker = add_worker(WorkerState::ready);
  add_stream(worker, 0, kNow - 3'000, "http://a.example/a b");
  EXPECT_EQ(
      "streams shown=1 exchanges=1\n"
      "stream client=- kind=file step=- age=3s bytes=12 rate=0 worker=0 id=- "
      "upstream=\"http://a.example/a b\"\n",
      print_streams(look()));
}

}  // namespace
}  // namespace streamgate
