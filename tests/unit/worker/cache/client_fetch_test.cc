// Tests the shared answers of one worker, from the upstream to the clients.
#include "worker/cache/client_fetch.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/unit/upstream_peers.h"
#include "worker/links/upstream_url.h"

namespace streamgate {
namespace {

using namespace testing_peers;  // NOLINT: this file is about them

constexpr size_t kMiB = size_t{1} << 20U;

// Sockets are looked at between the callbacks, as in a worker.
EventBase base_of_worker() {
  const EventConfig config(event_config_new());
  const timeval most{0, 1'000};
  event_config_set_max_dispatch_interval(config.get(), &most, -1, 0);
  return EventBase(event_base_new_with_config(config.get()));
}

// A client whose socket takes everything at once.
class FastClient final : public Fetch::Observer, public Fetch::Sink {
 public:
  FastClient(FetchEnvironment& environment, Cache& cache, const std::string& url)
      : FastClient(environment, cache, FetchRequest{Method::get, parse_http_url(url).value()}) {}
  FastClient(FetchEnvironment& environment, Cache& cache, FetchRequest request)
      : fetch(environment, &cache, std::move(request), *this) {}
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
  void on_body(std::string_view bytes) override {
    body += bytes;
    if (when_body) when_body();
  }
  void on_read_done() override {
    if (when_read_done) when_read_done();
  }
  void on_next_body() override {}
  void on_end() override { is_over = true; }
  void on_failed(const Error& error) override {
    ADD_FAILURE() << error.detail;
    is_over = true;
  }
  size_t room() override { return most_room; }
  Pipe* borrow_pipe(uint64_t) override { return nullptr; }
  void on_piped() override {}
  uint64_t taken() const override { return body.size(); }

  ClientFetch fetch;
  int status = 0;
  std::string body;
  size_t most_room = size_t{256} * 1024;
  std::function<void()> when_body;
  std::function<void()> when_read_done;
  bool is_over = false;
};

class ClientFetchTest : public testing::Test {
 protected:
  ClientFetchTest() {
    security.allow_all_private = true;
    cache_config.memory = 64 * kMiB;
    column = *directory.take();
    other_column = *directory.take();
    EXPECT_TRUE(directory.confine(column).has_value());
    EXPECT_TRUE(other_directory.confine(other_column).has_value());
    EXPECT_TRUE(pool.start().has_value());
  }

  std::string url() { return "http://127.0.0.1:" + std::to_string(server.address().port()) + "/a"; }
  bool until(const std::function<bool()>& done) { return run_until(base.get(), done); }
  Peer& await_request(size_t requests) {
    EXPECT_TRUE(
        until([&] { return !server.peers.empty() && server.peer(0).requests() >= requests; }));
    return server.peer(0);
  }

  EventBase base = base_of_worker();
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
  CacheDirectory directory = *CacheDirectory::create(3);
  unsigned column = 0;
  // The same, as another worker maps it.
  CacheDirectory other_directory = *CacheDirectory::adopt(files_of(directory));
  unsigned other_column = 0;

 private:
  static CacheDirectory::Files files_of(const CacheDirectory& directory) {
    const auto copy = [](const UniqueFd& fd) { return UniqueFd(::dup(fd.get())); };
    const CacheDirectory::Files& files = directory.files();
    CacheDirectory::Files out{copy(files.directory), copy(files.bodies), {}};
    for (const UniqueFd& waker : files.wakers) out.wakers.push_back(copy(waker));
    return out;
  }
};

class SharedBodies : public ClientFetchTest {
 protected:
  SharedBodies() {
    const Cache::Environment of_cache{
        base.get(),
        environment,
        cache_config,
        reaper,
        columns[0].slot,
        0,
        [](std::string_view, std::string_view) { return false; },
        [](std::string_view, std::string_view) { return LiveFormat::none; }};
    cache.emplace(of_cache, directory, column);
    cache_of_other.emplace(of_cache, other_directory, other_column);
  }

  std::optional<Cache> cache;
  std::optional<Cache> cache_of_other;  // of another worker
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

// The clients of one answer, each of which takes 0.2 ms for a piece of it.
class ManyReaders : public SharedBodies {
 protected:
  static constexpr size_t kClients = 30;
  // More would take longer than the millisecond of a turn.
  static constexpr size_t kMostInATurn = 6;

  void begin(Cache& its_cache) {
    for (size_t i = 0; i < kClients; ++i) {
      auto& client =
          *clients.emplace_back(std::make_unique<FastClient>(environment, its_cache, url()));
      client.when_body = [this, i] { on_body(i); };
      client.start();
    }
  }
  void on_body(size_t client) {
    const auto begun = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - begun < std::chrono::microseconds(200)) {
    }
    served.push_back(client);
    event_active(other.get(), EV_TIMEOUT, 1);
    if (++served_in_turn > most_in_turn) most_in_turn = served_in_turn;
    if (when_served) when_served();
  }
  void on_other() {
    served_in_turn = 0;
    if (when_other) when_other();
  }
  void send(const std::string& bytes) { server.peer(0).send(bytes); }
  bool are_all_over() {
    return std::all_of(clients.begin(), clients.end(),
                       [](const auto& client) { return client->is_over; });
  }

  std::vector<std::unique_ptr<FastClient>> clients;
  std::vector<size_t> served;  // the clients, in the order of their pieces
  size_t served_in_turn = 0;
  size_t most_in_turn = 0;
  std::function<void()> when_served;
  std::function<void()> when_other;
  Event other{event_new(base.get(), -1, 0, callback<&ManyReaders::on_other>, this)};
};

constexpr std::string_view kTwoPieces = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";

TEST_F(ManyReaders, OtherEventsRunBetweenTheReadersOfAChange) {
  begin(*cache);
  await_request(1);
  send(std::string(kTwoPieces) + "01234");
  ASSERT_TRUE(until([&] { return served.size() == kClients; }));
  send("56789");
  ASSERT_TRUE(until([&] { return are_all_over(); }));
  for (const auto& client : clients) EXPECT_EQ(client->body, "0123456789");
  EXPECT_LE(most_in_turn, kMostInATurn);
  EXPECT_EQ(server.peer(0).requests(), 1U);
}

TEST_F(ManyReaders, ThoseOfAnotherWorkerTakeTurnsToo) {
  FastClient first(environment, *cache, url());
  first.start();
  begin(*cache_of_other);
  await_request(1);
  send(std::string(kTwoPieces) + "01234");
  ASSERT_TRUE(until([&] { return served.size() == kClients; }));
  send("56789");
  ASSERT_TRUE(until([&] { return first.is_over && are_all_over(); }));
  for (const auto& client : clients) EXPECT_EQ(client->body, "0123456789");
  EXPECT_LE(most_in_turn, kMostInATurn);
  EXPECT_EQ(server.peer(0).requests(), 1U);
}

TEST_F(ManyReaders, TheReaderThatWaitsLongestComesFirst) {
  begin(*cache);
  await_request(1);
  // The second piece comes while most readers wait for the first one.
  when_served = [this] {
    if (served.size() == 2) send("56789");
  };
  send(std::string(kTwoPieces) + "01234");
  ASSERT_TRUE(until([&] { return are_all_over(); }));
  for (const auto& client : clients) EXPECT_EQ(client->body, "0123456789");
  ASSERT_GE(served.size(), kClients);
  const std::set<size_t> first(served.begin(), served.begin() + kClients);
  EXPECT_EQ(first.size(), kClients) << "each of them once before any of them twice";
}

TEST_F(ManyReaders, ReadersMayLeaveWhileOthersWait) {
  begin(*cache);
  await_request(1);
  when_served = [this] {
    if (served.size() != 2) return;
    for (size_t i = 1; i < kClients; i += 2) clients[i]->stop();
  };
  send(std::string(kTwoPieces) + "0123456789");
  ASSERT_TRUE(until([&] { return are_all_over(); }));
  for (size_t i = 0; i < kClients; i += 2) EXPECT_EQ(clients[i]->body, "0123456789");
}

// Each of them begins a request of its own.
TEST_F(ManyReaders, AnAnswerThatCannotBeSharedCostsNoLongTurn) {
  begin(*cache);
  await_request(1);
  send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nCache-Control: private\r\n\r\nx");
  size_t passed = 0;
  size_t most_in_turn_passed = 0;
  when_other = [&] {
    const auto now =
        static_cast<size_t>(std::count_if(clients.begin(), clients.end(), [](const auto& client) {
          return client->fetch.cache_outcome() == CacheOutcome::pass;
        }));
    most_in_turn_passed = std::max(most_in_turn_passed, now - passed);
    passed = now;
    if (passed < kClients) event_active(other.get(), EV_TIMEOUT, 1);
  };
  event_active(other.get(), EV_TIMEOUT, 1);
  ASSERT_TRUE(until([&] { return passed == kClients; }));
  EXPECT_LE(most_in_turn_passed, 2U);
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

// Endless bodies with one viewer each, beside clients that always have work.
class ManyStreams : public ClientFetchTest {
 protected:
  static constexpr size_t kStreams = 20;

  ManyStreams() {
    cache_config.live_window = kMiB / 4;
    cache_config.live_batch = Milliseconds(500);
    cache.emplace(
        Cache::Environment{base.get(), environment, cache_config, reaper, columns[0].slot, 0,
                           [](std::string_view, std::string_view) { return false; },
                           [](std::string_view, std::string_view) { return LiveFormat::frames; }},
        directory, column);
    rival.emplace(cache->turns(), this, call<&ManyStreams::on_rival>);
  }

  void begin() {
    for (size_t i = 0; i < kStreams; ++i) {
      clients.emplace_back(
          std::make_unique<FastClient>(environment, *cache, url() + std::to_string(i)));
      clients.back()->start();
    }
    ASSERT_TRUE(until([&] { return server.peers.size() == kStreams; }));
    ASSERT_TRUE(until([&] {
      return std::all_of(server.peers.begin(), server.peers.end(),
                         [](const auto& peer) { return peer->requests() == 1; });
    }));
  }
  void send(const std::string& bytes) {
    for (const auto& peer : server.peers) peer->send(bytes);
  }
  bool have_all(size_t size) {
    return std::all_of(clients.begin(), clients.end(),
                       [&](const auto& client) { return client->body.size() == size; });
  }
  void on_rival() {
    ++runs_of_rival;
    if (!have_all(2)) rival->schedule();
  }

  std::optional<Cache> cache;
  std::optional<WorkQueue::Task> rival;
  size_t runs_of_rival = 0;
  std::vector<std::unique_ptr<FastClient>> clients;
};

TEST_F(ManyStreams, SeveralViewersGetTheirBytesInOneTurn) {
  begin();
  send("HTTP/1.1 200 OK\r\n\r\n1");
  ASSERT_TRUE(until([&] { return have_all(1); }));
  for (const auto& client : clients) {
    client->when_body = [this] {
      if (rival->is_scheduled() || runs_of_rival > 0) return;
      std::this_thread::sleep_for(Milliseconds(2));  // the turn is long
      rival->schedule();
    };
  }
  send("2");
  ASSERT_TRUE(until([&] { return have_all(2); }));
  EXPECT_LT(runs_of_rival, kStreams / 2);
}

// The new answer of another worker takes the place of the stale one, which a client still reads.
TEST_F(SharedBodies, AStaleAnswerDoesNotHideANewOne) {
  const auto send = [&](const std::string& bytes) { server.peer(0).send(bytes); };
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nCache-Control: max-age=";
  FastClient first(environment, *cache, url());
  first.start();
  FastClient slow(environment, *cache_of_other, url());
  slow.most_room = 0;
  slow.start();
  await_request(1);
  send(head + "0\r\n\r\nbytes");
  ASSERT_TRUE(until([&] { return first.is_over && slow.status == 200; }));
  FastClient second(environment, *cache, url());
  second.start();
  await_request(2);
  send(head + "60\r\n\r\nby");
  ASSERT_TRUE(until([&] { return second.body == "by"; }));

  FetchRequest part{Method::get, parse_http_url(url()).value()};
  part.forwarded.push_back({"Range", "bytes=1-2"});
  FastClient range(environment, *cache_of_other, std::move(part));
  range.start();
  FastClient whole(environment, *cache_of_other, url());
  whole.start();
  EXPECT_EQ(range.fetch.cache_outcome(), CacheOutcome::shared);
  EXPECT_EQ(whole.fetch.cache_outcome(), CacheOutcome::shared);
  send("tes");
  ASSERT_TRUE(until([&] { return range.is_over && whole.is_over; }));
  EXPECT_EQ(range.body, "yt");
  EXPECT_EQ(whole.body, "bytes");
  EXPECT_EQ(server.peer(0).requests(), 2U);
}

}  // namespace
}  // namespace streamgate
