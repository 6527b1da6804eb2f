#include "worker/upstream/pool.h"

#include <gtest/gtest.h>
#include <netinet/tcp.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/worker/upstream/pool_bench.h"

namespace streamgate {
namespace {

TEST_F(UpstreamPoolTest, ReusesAConnectionThatWasGivenBack) {
  make_pool();
  UpstreamConnection* first = get_from(server);
  ASSERT_NE(first, nullptr);
  EXPECT_FALSE(first->reused());
  exchange(*first, server.peer(0));
  UpstreamConnection* second = get_from(server);
  EXPECT_EQ(second, first);
  EXPECT_TRUE(second->reused());
  exchange(*second, server.peer(0));
  EXPECT_EQ(server.peers.size(), 1U);
  EXPECT_EQ(counters[Counter::upstream_connections_opened].load(), 1U);
  EXPECT_EQ(counters[Counter::upstream_connections_reused].load(), 1U);
}

TEST_F(UpstreamPoolTest, ClosesAConnectionThatCannotBeReused) {
  make_pool();
  UpstreamConnection* connection = get_from(server);
  exchange(*connection, server.peer(0), Reuse::no);
  EXPECT_TRUE(until([&] { return server.peer(0).has_ended; }));
  connection = get_from(server);
  Recorder recorder;  // its answer is never complete
  connection->send_request(kRequest, Method::get, recorder);
  pool->give_back(*connection, Reuse::allowed);
  EXPECT_TRUE(until([&] { return server.peer(1).has_ended; }));
}

TEST_F(UpstreamPoolTest, FreshOnlyGetsANewConnection) {
  make_pool();
  UpstreamConnection* connection = get_from(server);
  exchange(*connection, server.peer(0));
  UpstreamConnection* fresh = get(url_of("a.test"), {server.address()}, Freshness::fresh_only);
  EXPECT_NE(fresh, connection);
  pool->give_back(*fresh, Reuse::no);
}

TEST_F(UpstreamPoolTest, DropsAnIdleConnectionThatTheUpstreamCloses) {
  make_pool();
  exchange_first();
  server.peer(0).close();
  settle(base.get());
  UpstreamConnection* next = get_from(server);
  EXPECT_FALSE(next->reused());
  EXPECT_EQ(server.peers.size(), 2U);
  pool->give_back(*next, Reuse::no);
}

// The event loop does not run between the upstream's bytes and the loan.
TEST_F(UpstreamPoolTest, BytesThatCameSinceTheLastTurnOfTheLoopPreventALoan) {
  make_pool();
  exchange_first();
  server.peer(0).send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
  UpstreamConnection* next = get_from(server);
  ASSERT_NE(next, nullptr);
  EXPECT_FALSE(next->reused());
  exchange(*next, server.peer(1));
  EXPECT_TRUE(until([&] { return server.peer(0).has_ended; }));
  EXPECT_EQ(counters[Counter::upstream_connections_reused].load(), 0U);
}

TEST_F(UpstreamPoolTest, AnEndSinceTheLastTurnOfTheLoopPreventsALoan) {
  make_pool();
  exchange_first();
  server.peer(0).close();
  UpstreamConnection* next = get_from(server);
  ASSERT_NE(next, nullptr);
  EXPECT_FALSE(next->reused());
  pool->give_back(*next, Reuse::no);
}

TEST_F(UpstreamPoolTest, LendsTheNextIdleConnectionInPlaceOfAnUnfitOne) {
  make_pool();
  UpstreamConnection* fit = get_from(server);
  UpstreamConnection* unfit = get_from(server);
  exchange(*fit, server.peer(0));
  exchange(*unfit, server.peer(1));
  server.peer(1).send("x");
  ASSERT_EQ(get_from(server), fit);
  pool->give_back(*fit, Reuse::no);
  EXPECT_TRUE(until([&] { return server.peer(1).has_ended; }));
}

TEST_F(UpstreamPoolTest, ConnectsOnlyToTheGivenAddresses) {
  make_pool();
  StubServer other(base.get());
  exchange_first();
  UpstreamConnection* connection = get_from(other);  // the same name, another address
  EXPECT_FALSE(connection->reused());
  EXPECT_EQ(other.peers.size(), 1U);
  exchange(*connection, other.peer(0));
  // An idle connection to any of the addresses serves.
  connection = get(url_of("a.test"), {refusing_address(base.get()), other.address()});
  EXPECT_TRUE(connection->reused());
  pool->give_back(*connection, Reuse::no);
}

TEST_F(UpstreamPoolTest, KeepsNoMoreThanTheLimitPerOrigin) {
  config.keepalive_per_origin = 2;
  make_pool();
  std::vector<UpstreamConnection*> loans;
  for (int i = 0; i < 4; ++i) loans.push_back(get_from(server));
  for (size_t i = 0; i < loans.size(); ++i) exchange(*loans[i], server.peer(i));
  EXPECT_TRUE(until([&] { return server.peer(0).has_ended && server.peer(1).has_ended; }));
  EXPECT_FALSE(server.peer(2).has_ended ||
               server.peer(3).has_ended);  // the longest idle are closed
}

TEST_F(UpstreamPoolTest, KeepsNoMoreThanTheLimitOfAllOrigins) {
  config.keepalive_per_worker = 2;
  make_pool();
  StubServer other(base.get());
  UpstreamConnection* oldest = get_from(server);
  UpstreamConnection* next = get_from(other);
  UpstreamConnection* newest = get_from(other);
  exchange(*oldest, server.peer(0));
  exchange(*next, other.peer(0));
  EXPECT_FALSE(server.peer(0).has_ended);
  exchange(*newest, other.peer(1));
  EXPECT_TRUE(until([&] { return server.peer(0).has_ended; }));
  EXPECT_FALSE(other.peer(0).has_ended || other.peer(1).has_ended);
}

TEST_F(UpstreamPoolTest, ClosesAConnectionAfterKeepaliveIdle) {
  config.keepalive_idle = Milliseconds{300};
  make_pool();
  exchange_first();
  const int64_t start = wheel.now_ms();
  EXPECT_TRUE(until([&] { return server.peer(0).has_ended; }));
  EXPECT_GE(wheel.now_ms() - start, 300);
}

TEST_F(UpstreamPoolTest, KeepsNoConnectionWhileDraining) {
  make_pool();
  UpstreamConnection* idle = get_from(server);
  UpstreamConnection* on_loan = get_from(server);
  exchange(*idle, server.peer(0));
  pool->stop_keeping();
  EXPECT_TRUE(until([&] { return server.peer(0).has_ended; }));
  exchange(*on_loan, server.peer(1));
  EXPECT_TRUE(until([&] { return server.peer(1).has_ended; }));
}

TEST_F(UpstreamPoolTest, AStaleConnectionCanBeReplacedByAFreshOne) {
  make_pool();
  exchange_first();
  UpstreamConnection* stale = get_from(server);
  ASSERT_TRUE(stale->reused());
  server.peer(0).close();
  Recorder recorder;
  stale->send_request(kRequest, Method::get, recorder);
  ASSERT_TRUE(until([&] { return recorder.is_over(); }));
  ASSERT_EQ(recorder.retry, UpstreamConnection::Observer::Retry::on_fresh_connection);
  pool->give_back(*stale, Reuse::allowed);
  UpstreamConnection* fresh = get(url_of("a.test"), {server.address()}, Freshness::fresh_only);
  ASSERT_TRUE(until([&] { return server.peers.size() == 2; }));
  exchange(*fresh, server.peer(1));
}

TEST_F(UpstreamPoolTest, ACancelledAttemptMakesNoCall) {
  make_pool();
  WaitingForPool waiting;
  {
    UpstreamPool::AttemptHandle attempt;
    EXPECT_EQ(
        acquire(url_of("a.test"), {server.address()}, Freshness::reuse_allowed, waiting, attempt),
        nullptr);
  }
  settle(base.get());
  EXPECT_FALSE(waiting.is_over());
}

TEST_F(UpstreamPoolTest, AnAttemptMayBeDestroyedInsideItsCallback) {
  make_pool();
  struct Dropping final : UpstreamPool::Observer {
    void on_connected(UpstreamConnection& made) override {
      connection = &made;
      attempt.reset();
    }
    void on_connect_failed(Error) override {
      failed = true;
      attempt.reset();
    }
    UpstreamPool::AttemptHandle attempt;
    UpstreamConnection* connection = nullptr;
    bool failed = false;
  } good, bad;
  acquire(url_of("a.test"), {server.address()}, Freshness::reuse_allowed, good, good.attempt);
  acquire(url_of("a.test"), {refusing_address(base.get())}, Freshness::reuse_allowed, bad,
          bad.attempt);
  ASSERT_TRUE(until([&] { return good.connection != nullptr && bad.failed; }));
  pool->give_back(*good.connection, Reuse::no);
  settle(base.get());
}

TEST_F(UpstreamPoolTest, ReportsARefusedConnection) {
  make_pool();
  EXPECT_EQ(get(url_of("a.test"), {refusing_address(base.get())}), nullptr);
  ASSERT_TRUE(last_error.has_value());
  EXPECT_EQ(last_error->reason, Reason::connect_failed);
}

TEST_F(UpstreamPoolTest, DestroyingThePoolClosesItsConnections) {
  make_pool();
  exchange_first();
  get_from(server);  // on loan
  pool.reset();
  EXPECT_TRUE(until([&] { return server.peer(0).has_ended; }));
}

TEST_F(UpstreamPoolTest, StartFailsWithoutTheCaFile) {
  config.tls.ca_file = "/nonexistent.pem";
  UpstreamPool broken(
      {base.get(), wheel, reaper, config, resolver, places, socket_memory, counters});
  const auto started = broken.start();
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(started.error().reason, Reason::tls_failed);
}

TEST_F(UpstreamPoolTest, AnIdleConnectionThatCannotServeIsClosedForANewOne) {
  config.max_connections = 1;
  make_pool();
  StubServer other(base.get());
  exchange_first();
  UpstreamConnection* connection = get_from(other);  // the same name, another address
  ASSERT_NE(connection, nullptr);
  EXPECT_FALSE(connection->reused());
  EXPECT_TRUE(until([&] { return server.peer(0).has_ended; }));
}

TEST_F(UpstreamPoolTest, ARequestWaitsForAPlaceAndTakesTheConnectionThatIsGivenBack) {
  config.max_connections = 1;
  make_pool();
  UpstreamConnection* first = get_from(server);
  WaitingForPool waiting;
  UpstreamPool::AttemptHandle attempt;
  EXPECT_EQ(
      acquire(url_of("a.test"), {server.address()}, Freshness::reuse_allowed, waiting, attempt),
      nullptr);
  settle(base.get());
  EXPECT_FALSE(waiting.is_over());
  exchange(*first, server.peer(0));
  EXPECT_FALSE(waiting.is_over());  // never from inside give_back()
  EXPECT_TRUE(until([&] { return waiting.is_over(); }));
  EXPECT_EQ(waiting.connection, first);
}

TEST_F(UpstreamPoolTest, WithoutAPlaceInTimeTheUpstreamIsBusy) {
  config.max_connections = 1;
  config.connect_timeout = Milliseconds(200);
  make_pool();
  UpstreamConnection* first = get_from(server);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(get(url_of("a.test"), {server.address()}), nullptr);
  EXPECT_EQ(last_error->reason, Reason::upstream_busy);
  pool->give_back(*first, Reuse::no);
  EXPECT_NE(get(url_of("a.test"), {server.address()}), nullptr);
}

}  // namespace
}  // namespace streamgate
