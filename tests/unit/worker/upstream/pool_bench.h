// An UpstreamPool, a stub server, and one exchange over a connection: what the tests of the pool
// share.
#pragma once

#include <gtest/gtest.h>
#include <netinet/tcp.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/upstream_peers.h"
#include "worker/upstream/pool.h"

namespace streamgate {

using namespace testing_peers;  // NOLINT: used throughout

inline constexpr char kEmpty[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

inline HttpUrl url_of(const std::string& host, bool is_https = false) {
  HttpUrl url;
  url.host = host;
  url.is_https = is_https;
  url.path_and_query = "/";
  return url;
}

struct WaitingForPool final : UpstreamPool::Observer {
  void on_connected(UpstreamConnection& made) override { connection = &made; }
  void on_connect_failed(Error why) override { error = std::move(why); }
  bool is_over() const { return connection != nullptr || error.has_value(); }
  UpstreamConnection* connection = nullptr;
  std::optional<Error> error;
};

class UpstreamPoolTest : public testing::Test {
 protected:
  using Freshness = UpstreamPool::Freshness;
  using Reuse = UpstreamPool::Reuse;

  void make_pool() {
    hosts = std::make_unique<HostTable>(config);
    pool = std::make_unique<UpstreamPool>(UpstreamPool::Tools{
        base.get(), wheel, reaper, config, resolver, places, socket_memory, counters});
    const auto started = pool->start();
    ASSERT_TRUE(started.has_value()) << started.error().detail;
  }
  bool until(const std::function<bool()>& done) { return run_until(base.get(), done); }

  UpstreamConnection* acquire(const HttpUrl& url, const std::vector<SocketAddress>& addresses,
                              Freshness freshness, UpstreamPool::Observer& observer,
                              UpstreamPool::AttemptHandle& attempt) {
    return pool->acquire({url, hosts->of(url), addresses}, freshness, observer, attempt);
  }
  UpstreamConnection* get(const HttpUrl& url, const std::vector<SocketAddress>& addresses,
                          Freshness freshness = Freshness::reuse_allowed) {
    return get({url, hosts->of(url), addresses}, freshness);
  }
  UpstreamConnection* get(const UpstreamPool::Target& target, Freshness freshness) {
    WaitingForPool waiting;
    UpstreamPool::AttemptHandle attempt;
    if (auto* idle = pool->acquire(target, freshness, waiting, attempt)) return idle;
    EXPECT_TRUE(until([&] { return waiting.is_over(); }));
    if (waiting.error) last_error = waiting.error;
    return waiting.connection;
  }
  // One whole exchange with an empty answer, given back.
  void exchange(UpstreamConnection& connection, Peer& peer, Reuse reuse = Reuse::allowed) {
    Recorder recorder;
    connection.send_request(kRequest, Method::get, recorder);
    peer.send(kEmpty);
    ASSERT_TRUE(until([&] { return recorder.ended; }));
    pool->give_back(connection, reuse);
  }
  UpstreamConnection* get_from(StubServer& from, const std::string& host = "a.test") {
    const size_t before = from.peers.size();
    UpstreamConnection* connection = get(url_of(host), {from.address()});
    if (connection != nullptr && !connection->reused()) {
      EXPECT_TRUE(until([&] { return from.peers.size() > before; }));
    }
    return connection;
  }

  // Leaves one idle connection to the server.
  void exchange_first() {
    UpstreamConnection* connection = get_from(server);
    ASSERT_NE(connection, nullptr);
    exchange(*connection, server.peer(0));
  }

  EventBase base{event_base_new()};
  TimerWheel wheel{base.get()};
  Reaper reaper{base.get()};
  UpstreamConfig config;
  Counters counters;
  Resolver resolver{base.get(), wheel, config};
  Board board;
  std::array<Assignment, 2> assignments;  // the pool's is the first
  std::array<Column, 2> columns;
  ConnectionPlaces places{
      columns[0].connections, 0, {board, assignments, columns}, Milliseconds(5000)};
  SocketMemory socket_memory{wheel};
  std::unique_ptr<HostTable> hosts;
  std::unique_ptr<UpstreamPool> pool;
  StubServer server{base.get()};
  std::optional<Error> last_error;
};

}  // namespace streamgate
