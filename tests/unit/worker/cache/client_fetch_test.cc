// Tests the shared answers of one worker, from the upstream to the clients.
#include "worker/cache/client_fetch.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <string>

#include "tests/unit/upstream_peers.h"
#include "worker/links/upstream_url.h"

namespace streamgate {
namespace {

using namespace testing_peers;  // NOLINT: this file is about them

constexpr size_t kMiB = size_t{1} << 20U;

// A client whose socket takes everything at once.
class FastClient final : public Fetch::Observer, public Fetch::Sink {
 public:
  FastClient(FetchEnvironment& environment, Cache& cache, const std::string& url)
      : fetch(environment, &cache, {Method::get, parse_http_url(url).value()}, *this) {}
  ~FastClient() { stop(); }

  void start() { fetch.start({"client", "id"}); }
  void stop() {
    if (!is_over) fetch.stop();
    is_over = true;
  }

  std::optional<IpAddress> client_of_names() const override { return std::nullopt; }
  void on_next_url() override {}
  void on_head(const ResponseHead& head) override {
    status = head.status;
    fetch.relay_into(*this);
  }
  void on_body(std::string_view bytes) override { body += bytes; }
  void on_read_done() override {
    if (when_read_done) when_read_done();
  }
  void on_next_body() override {}
  void on_end() override { is_over = true; }
  void on_failed(const Error& error) override {
    ADD_FAILURE() << error.detail;
    is_over = true;
  }
  size_t room() override { return size_t{256} * 1024; }
  Pipe* borrow_pipe(uint64_t) override { return nullptr; }
  void on_piped() override {}
  uint64_t taken() const override { return body.size(); }

  ClientFetch fetch;
  int status = 0;
  std::string body;
  std::function<void()> when_read_done;
  bool is_over = false;
};

class ClientFetchTest : public testing::Test {
 protected:
  ClientFetchTest() {
    security.allow_all_private = true;
    cache_config.memory = 64 * kMiB;
    column = *directory.take();
    EXPECT_TRUE(directory.confine(column).has_value());
    EXPECT_TRUE(pool.start().has_value());
  }

  std::string url() { return "http://127.0.0.1:" + std::to_string(server.address().port()) + "/a"; }
  bool until(const std::function<bool()>& done) { return run_until(base.get(), done); }
  Peer& await_request(size_t requests) {
    EXPECT_TRUE(
        until([&] { return !server.peers.empty() && server.peer(0).requests() >= requests; }));
    return server.peer(0);
  }

  EventBase base{event_base_new()};
  TimerWheel wheel{base.get()};
  Reaper reaper{base.get()};
  UpstreamConfig config;
  SecurityConfig security;
  CacheConfig cache_config;
  TargetGuard guard{security, {}};
  Resolver resolver{base.get(), wheel, config};
  HostTable hosts{config};
  Board board;
  std::array<Assignment, 1> assignments;
  std::array<Column, 1> columns;
  ConnectionPlaces places{
      columns[0].connections, 0, {board, assignments, columns}, Milliseconds(5000)};
  SocketMemory socket_memory{wheel};
  Counters& counters = columns[0].slot.counters;
  UpstreamPool pool{{base.get(), wheel, reaper, config, resolver, places, socket_memory, counters}};
  LoopMark loop_mark{"own"};
  OriginMarks marks{config, wheel, columns[0], {board, assignments, columns}};
  FetchEnvironment environment{config,   guard, loop_mark, marks,    hosts,
                               resolver, pool,  wheel,     counters, resolve_upstream_url};
  StubServer server{base.get()};
  CacheDirectory directory = *CacheDirectory::create(2);
  unsigned column = 0;
};

class SharedBodies : public ClientFetchTest {
 protected:
  SharedBodies() {
    cache.emplace(
        Cache::Environment{base.get(), environment, cache_config, reaper, columns[0].slot, 0,
                           [](std::string_view, std::string_view) { return false; },
                           [](std::string_view, std::string_view) { return LiveFormat::none; }},
        directory, column);
  }

  std::optional<Cache> cache;
};

// Other clients and upstreams would wait for all of the body (16 MiB and more, over TLS more than
// 10 ms).
TEST_F(SharedBodies, AFastClientGetsAStoredBodyInSeveralTurns) {
  constexpr size_t kSize = 5 * kMiB - 1;
  FastClient first(environment, *cache, url());
  first.start();
  await_request(1).send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kSize) +
                        "\r\nCache-Control: max-age=60\r\n\r\n" + std::string(kSize, 'x'));
  ASSERT_TRUE(until([&] { return first.is_over; }));
  ASSERT_EQ(first.body.size(), kSize);

  std::string turns;
  FastClient one(environment, *cache, url());
  one.when_read_done = [&] { turns += '1'; };
  one.start();
  EXPECT_EQ(one.fetch.cache_outcome(), CacheOutcome::hit);
  EXPECT_EQ(one.body.size(), kMiB);
  FastClient other(environment, *cache, url());
  other.when_read_done = [&] { turns += '2'; };
  other.start();
  ASSERT_TRUE(until([&] { return one.is_over && other.is_over; }));
  EXPECT_EQ(turns, "12121212") << "and a fifth turn, which ends the body";
  EXPECT_EQ(one.body.size(), kSize);
  EXPECT_EQ(other.body.size(), kSize);
  EXPECT_EQ(server.peer(0).requests(), 1U);
}

TEST_F(SharedBodies, AClientThatStopsGetsNoMoreTurns) {
  FastClient first(environment, *cache, url());
  first.start();
  await_request(1).send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(3 * kMiB) +
                        "\r\nCache-Control: max-age=60\r\n\r\n" + std::string(3 * kMiB, 'x'));
  ASSERT_TRUE(until([&] { return first.is_over; }));
  FastClient one(environment, *cache, url());
  one.start();
  one.stop();
  settle(base.get());
  EXPECT_EQ(one.body.size(), kMiB);
}

}  // namespace
}  // namespace streamgate
