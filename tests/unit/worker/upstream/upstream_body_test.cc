// Tests how UpstreamConnection reads a body that is relayed unchanged: into a pipe, into the memory
// of the sink, or through its own memory, only as far as the sink has room, and not slower than the
// minimum rate.
#include <gtest/gtest.h>
#include <unistd.h>

#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tests/unit/upstream_peers.h"
#include "worker/loop/pipe.h"
#include "worker/upstream/connection.h"

namespace streamgate {
namespace {

using namespace testing_peers;  // NOLINT: used throughout

constexpr size_t kPlenty = size_t{1} << 30U;

// Takes `room_left` bytes of a body, as a client does, then none until give_room().
class Client final : public BodySink {
 public:
  size_t room() override {
    ++room_calls;
    if (room_left == 0) connection->pause();
    return room_left;
  }
  Pipe* borrow_pipe(uint64_t left) override {
    least_left = std::min(least_left, left);
    return pipe.get();
  }
  void on_piped() override {
    std::string bytes(pipe->bytes(), '\0');
    EXPECT_EQ(static_cast<ssize_t>(bytes.size()),
              ::read(pipe->read_end(), bytes.data(), bytes.size()));
    pipe->taken(bytes.size());
    piped += bytes.size();
    take(bytes);
  }
  std::span<char> memory() override { return place; }
  void on_stored(size_t bytes) override {
    EXPECT_LE(bytes, place.size());
    stored += bytes;
    take({place.data(), bytes});
  }
  void take(std::string_view bytes) {
    body += bytes;
    if (room_left == kPlenty) return;
    EXPECT_LE(bytes.size(), room_left);
    room_left -= std::min(bytes.size(), room_left);
  }
  void give_room(size_t bytes) {
    room_left = bytes;
    connection->resume();
  }

  UpstreamConnection* connection = nullptr;
  std::unique_ptr<Pipe> pipe;
  std::vector<char> place;
  size_t room_left = kPlenty;
  uint64_t least_left = std::numeric_limits<uint64_t>::max();
  size_t piped = 0;
  size_t stored = 0;
  int room_calls = 0;
  std::string body;
};

enum class Way { copied, piped, stored };

std::string name_of(Way way) {
  return way == Way::copied ? "copied" : way == Way::piped ? "piped" : "stored";
}

class UpstreamBodyTest : public testing::TestWithParam<Way>, protected ConnectionBench {
 protected:
  UpstreamBodyTest() {
    config.idle_timeout = Milliseconds{300};
    for (size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>('a' + i % 23);
  }

  void connect() {
    ConnectionBench::connect();
    client.connection = connection.get();
    if (GetParam() == Way::piped) client.pipe = Pipe::make(size_t{64} * 1024);
    if (GetParam() == Way::stored) client.place.resize(100'000);
    recorder.when_head = [this] { connection->relay_into(client); };
    recorder.when_body = [this] { client.take(std::exchange(recorder.body, {})); };
    ask(recorder);
  }
  std::string head(size_t length) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n";
  }

  Client client;
  std::string content = std::string(3'000'001, '\0');
};

INSTANTIATE_TEST_SUITE_P(Ways, UpstreamBodyTest,
                         testing::Values(Way::copied, Way::piped, Way::stored),
                         [](const auto& way) { return name_of(way.param); });

TEST_P(UpstreamBodyTest, ACompleteBodyLeavesTheConnectionReusable) {
  connect();
  peer().send(head(content.size()) + content);
  ASSERT_TRUE(until([&] { return recorder.is_over(); }));
  EXPECT_EQ(recorder.log.substr(0, 5), "head ");
  EXPECT_TRUE(recorder.ended);
  EXPECT_TRUE(client.body == content);
  EXPECT_EQ(GetParam() == Way::piped, client.piped > 2'000'000);
  EXPECT_EQ(GetParam() == Way::stored, client.stored > 2'000'000);
  EXPECT_EQ(client.piped, counters[Counter::bytes_spliced].load());
  EXPECT_EQ(head(content.size()).size() + content.size(),
            counters[Counter::bytes_from_upstreams].load());
  EXPECT_TRUE(connection->can_be_kept());
}

TEST_P(UpstreamBodyTest, ABodyIsReadOnlyAsFarAsTheSinkHasRoom) {
  config.idle_timeout = Milliseconds{5'000};
  connect();
  peer().send(head(content.size()));
  ASSERT_TRUE(until([&] { return recorder.status == 200; }));
  client.room_left = 10'000;
  peer().send(content);
  ASSERT_TRUE(until([&] { return client.room_left == 0; }));
  settle(base.get());
  EXPECT_EQ(10'000U, client.body.size());
  const int calls = client.room_calls;
  settle(base.get());
  EXPECT_EQ(calls, client.room_calls);  // no polling during the pause
  for (size_t room = 1; !recorder.is_over(); room = room * 2 + 1) {
    client.give_room(room);
    ASSERT_TRUE(until([&] { return client.room_left == 0 || recorder.is_over(); }));
  }
  EXPECT_TRUE(client.body == content);
  EXPECT_TRUE(connection->can_be_kept());
}

TEST_P(UpstreamBodyTest, ABodyThatEndsEarlyIsPassedOnAndTruncated) {
  connect();
  peer().send(head(content.size()) + content.substr(0, 1'000'000));
  peer().close();
  ASSERT_TRUE(until([&] { return recorder.is_over(); }));
  EXPECT_EQ(recorder.reason(), Reason::truncated_body);
  EXPECT_EQ(1'000'000U, client.body.size());
}

TEST_P(UpstreamBodyTest, ABodyThatIsResetIsTruncated) {
  connect();
  peer().send(head(content.size()) + content.substr(0, 300'000));
  ASSERT_TRUE(until([&] { return client.body.size() == 300'000; }));
  peer().reset();
  ASSERT_TRUE(until([&] { return recorder.is_over(); }));
  EXPECT_EQ(recorder.reason(), Reason::truncated_body);
}

TEST_P(UpstreamBodyTest, ABodyWithoutLengthEndsWithTheConnection) {
  connect();
  peer().send("HTTP/1.1 200 OK\r\n\r\n" + content);
  peer().close();
  ASSERT_TRUE(until([&] { return recorder.is_over(); }));
  EXPECT_TRUE(recorder.ended);
  EXPECT_TRUE(client.body == content);
  EXPECT_FALSE(connection->can_be_kept());
}

// Bytes after the response would be read as the answer to the next request.
TEST_P(UpstreamBodyTest, BytesAfterTheBodyMakeTheConnectionUnfit) {
  connect();
  peer().send(head(content.size()));
  ASSERT_TRUE(until([&] { return recorder.status == 200; }));
  client.room_left = 0;
  settle(base.get());
  peer().send(content + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
  ASSERT_TRUE(until([&] { return client.room_calls > 0; }));
  while (!recorder.is_over()) {
    client.give_room(std::min<size_t>(content.size() - client.body.size(), 70'000));
    ASSERT_TRUE(until([&] { return client.room_left == 0 || recorder.is_over(); }));
  }
  EXPECT_TRUE(recorder.ended);
  EXPECT_TRUE(client.body == content);
  EXPECT_FALSE(connection->can_be_kept());
}

TEST_P(UpstreamBodyTest, ABodyThatStopsRunsIntoTheIdleTimeoutExceptDuringAPause) {
  connect();
  peer().send(head(content.size()));
  ASSERT_TRUE(until([&] { return recorder.status == 200; }));
  client.room_left = 1000;
  peer().send(content.substr(0, 2000));
  const int64_t end = wheel.now_ms() + 800;
  ASSERT_TRUE(until([&] { return wheel.now_ms() >= end; }));
  EXPECT_FALSE(recorder.is_over());
  client.give_room(kPlenty);
  ASSERT_TRUE(until([&] { return recorder.is_over(); }));
  EXPECT_EQ(recorder.reason(), Reason::idle_timeout);
  EXPECT_EQ(2000U, client.body.size());
}

TEST_P(UpstreamBodyTest, ABodyBelowTheMinimumRateIsTooSlow) {
  config.idle_timeout = Milliseconds{5'000};
  config.min_rate = 10'000;
  config.min_rate_window = Milliseconds{400};
  connect();
  peer().send(head(content.size()) + content.substr(0, 300'000));
  ASSERT_TRUE(until([&] { return client.body.size() == 300'000; }));
  int64_t next = 0;
  ASSERT_TRUE(until([&] {
    if (wheel.now_ms() >= next) peer().send("x");
    next = std::max(next, wheel.now_ms() + 20);
    return recorder.is_over();
  }));
  EXPECT_EQ(recorder.reason(), Reason::upstream_too_slow);
}

}  // namespace
}  // namespace streamgate
