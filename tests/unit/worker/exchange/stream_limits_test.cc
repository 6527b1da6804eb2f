#include "worker/exchange/stream_limits.h"

#include <event2/event.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "worker/loop/event.h"

namespace streamgate {
namespace {

// Two workers that have a column each.
class StreamLimitsTest : public testing::Test {
 protected:
  StreamLimitsTest() {
    board.take(1);
    board.take(1);
  }

  static SocketAddress client(const char* address) { return {*IpAddress::parse(address), 4711}; }
  StreamLimits worker(unsigned index) {
    return StreamLimits({config, view, board.column(index), board.arrivals(), wheel});
  }
  using Places = std::vector<std::unique_ptr<StreamPlace>>;
  // Whether the stream is admitted; then it is kept.
  bool keep(StreamLimits& limits, const char* address, const Access* access = nullptr) {
    auto place = limits.admit(client(address), access);
    if (place) places.push_back(*std::move(place));
    return place.has_value();
  }

  Scoreboard board = *Scoreboard::create(3);
  ScoreboardView view = board.view();
  EventBase base{event_base_new()};
  TimerWheel wheel{base.get()};
  Config config = default_config();
  Places places;
};

TEST_F(StreamLimitsTest, WithoutLimitsNothingIsCounted) {
  EXPECT_FALSE(worker(0).is_in_use());
  auto place = worker(0).admit(client("192.0.2.1"), nullptr);
  ASSERT_TRUE(place);
  EXPECT_EQ(nullptr, *place);
  config.security.auth = SecurityConfig::Auth::token;
  EXPECT_TRUE(worker(0).is_in_use());
}

TEST_F(StreamLimitsTest, TheStreamsOfAClientCountOverAllWorkers) {
  config.limits.per_client.rates.streams = 2;
  StreamLimits first = worker(0);
  StreamLimits second = worker(1);
  EXPECT_TRUE(keep(first, "192.0.2.1"));
  EXPECT_TRUE(keep(second, "::ffff:192.0.2.1"));
  EXPECT_FALSE(keep(first, "192.0.2.1"));
  EXPECT_FALSE(keep(second, "192.0.2.1"));
  EXPECT_TRUE(keep(second, "192.0.2.2"));
  places.erase(places.begin());
  EXPECT_TRUE(keep(second, "192.0.2.1"));
  EXPECT_EQ(2U, board.column(0).slot.counters[Counter::streams_rate_limited] +
                    board.column(1).slot.counters[Counter::streams_rate_limited]);
}

TEST_F(StreamLimitsTest, TheStreamsOfARetiredWorkerDoNotCount) {
  config.limits.per_client.rates.streams = 1;
  StreamLimits first = worker(0);
  StreamLimits second = worker(1);
  EXPECT_TRUE(keep(first, "192.0.2.1"));
  EXPECT_FALSE(keep(second, "192.0.2.1"));
  board.retire(0);  // the worker was killed: its place is still counted
  EXPECT_TRUE(keep(second, "192.0.2.1"));
}

TEST_F(StreamLimitsTest, AllStreamsCountForTheService) {
  config.limits.streams = 3;
  board.column(0).slot.exchanges_now = 2;
  board.column(1).slot.exchanges_now = 1;
  EXPECT_TRUE(keep(*std::make_unique<StreamLimits>(worker(0)), "192.0.2.1"));
  board.column(1).slot.exchanges_now = 2;
  const auto refused = worker(0).admit(client("192.0.2.1"), nullptr);
  ASSERT_FALSE(refused);
  EXPECT_EQ(Reason::overloaded, refused.error().reason);
  board.retire(1);
  EXPECT_TRUE(worker(0).admit(client("192.0.2.1"), nullptr));
}

TEST_F(StreamLimitsTest, ATokenAndItsKeyCountByThemselves) {
  TokenKey key;
  key.id = "site";
  key.limits.streams = 3;
  Access seven{&key};
  seven.streams = 2;
  seven.token_id = "7";
  Access eight = seven;
  eight.token_id = "8";
  StreamLimits limits = worker(0);
  EXPECT_TRUE(keep(limits, "192.0.2.1", &seven));
  EXPECT_TRUE(keep(limits, "192.0.2.2", &seven));
  EXPECT_FALSE(keep(limits, "192.0.2.3", &seven));
  EXPECT_TRUE(keep(limits, "192.0.2.3", &eight));
  EXPECT_FALSE(keep(limits, "192.0.2.4", &eight));  // the key has three
  places.clear();
  TokenKey other;
  other.id = "other";
  Access foreign = seven;
  foreign.key = &other;
  EXPECT_TRUE(keep(limits, "192.0.2.1", &seven));
  EXPECT_TRUE(keep(limits, "192.0.2.1", &seven));
  EXPECT_TRUE(keep(limits, "192.0.2.1", &foreign));
}

TEST_F(StreamLimitsTest, ARefusedStreamCountsForNothing) {
  config.limits.per_client.rates.streams = 5;
  TokenKey key;
  key.id = "site";
  Access access{&key};
  access.streams = 1;
  access.token_id = "7";
  StreamLimits limits = worker(0);
  EXPECT_TRUE(keep(limits, "192.0.2.1", &access));
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(keep(limits, "192.0.2.1", &access));
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(keep(limits, "192.0.2.1"));
  EXPECT_FALSE(keep(limits, "192.0.2.1"));
}

TEST_F(StreamLimitsTest, RequestsOfAClientAreLimited) {
  config.limits.per_client.rates.requests = 1;
  StreamLimits first = worker(0);
  StreamLimits second = worker(1);
  EXPECT_TRUE(first.check_request(client("2001:db8::1")));
  EXPECT_TRUE(first.check_request(client("2001:db8:0:1::1")));
  bool refused = false;  // a second may pass between any two of them
  for (int i = 0; i < 1000 && !refused; ++i) {
    refused = !second.check_request(client("2001:db8::ffff:2"));
  }
  EXPECT_TRUE(refused);
  EXPECT_EQ(1U, board.column(1).slot.counters[Counter::requests_rate_limited]);
}

TEST_F(StreamLimitsTest, ClientsThatAreNotServedAreRefused) {
  config.security.clients.deny = {*IpRange::parse("192.0.2.0/24")};
  StreamLimits limits = worker(0);
  EXPECT_TRUE(limits.is_in_use());
  const auto refused = limits.check_request(client("192.0.2.1"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(Reason::client_forbidden, refused.error().reason);
}

// --- bandwidth ---

constexpr size_t kMost = size_t{1} << 20U;
constexpr uint64_t kRate = 100'000;

TEST_F(StreamLimitsTest, ABurstOfHalfASecondNeedsNoWait) {
  RateMeter meter(board.arrivals(), wheel);
  meter.add({1, kRate});
  uint64_t taken = 0;
  while (const size_t room = meter.room(kMost, taken)) taken += room;
  EXPECT_GE(taken, kRate / 2);
  EXPECT_LE(taken, kRate / 2 + kRate);  // the clock runs
  EXPECT_TRUE(meter.has_waited());
}

TEST_F(StreamLimitsTest, StreamsOfOneKeyShareTheRate) {
  constexpr uint64_t kPortion = kRate / 10;
  RateMeter one(board.arrivals(), wheel);
  RateMeter other(board.arrivals(), wheel);
  const int64_t begun_us = monotonic_us();
  uint64_t all = 0;
  for (RateMeter* meter : {&one, &other}) {
    meter->add({1, kRate});
    uint64_t taken = 0;
    while (const size_t room = meter->room(kMost, taken)) taken += room;
    EXPECT_TRUE(meter->has_waited());
    all += taken;
  }
  const auto elapsed_us = static_cast<uint64_t>(monotonic_us() - begun_us);
  EXPECT_LE(all, kRate / 2 + elapsed_us * kRate / 1'000'000 + 2 * kPortion);
}

TEST_F(StreamLimitsTest, TheSmallestOfSeveralRatesDecides) {
  RateMeter meter(board.arrivals(), wheel);
  meter.add({1, 1'000'000});
  meter.add({2, 0});  // none
  meter.add({3, kRate});
  uint64_t taken = 0;
  while (const size_t room = meter.room(kMost, taken)) taken += room;
  EXPECT_LE(taken, kRate / 2 + kRate);
}

TEST_F(StreamLimitsTest, UnusedBandwidthIsGivenBackAndUnreservedIsCharged) {
  RateMeter meter(board.arrivals(), wheel);
  meter.add({1, 1'000'000});
  ASSERT_GT(meter.room(kMost, 0), 0U);
  meter.settle(10);
  const int64_t now = monotonic_us();
  EXPECT_LE(board.arrivals().ahead_us(1, now), 20);
  RateMeter next(board.arrivals(), wheel);
  next.add({1, 1'000'000});
  next.settle(30'000'000);  // of a body that came with the head
  EXPECT_GT(board.arrivals().ahead_us(1, now), 25'000'000);
  RateMeter last(board.arrivals(), wheel);
  last.add({1, 1'000'000});
  EXPECT_TRUE(last.must_wait());
}

}  // namespace
}  // namespace streamgate
