// Tests a fetch against upstreams whose answers are scripted byte by byte. The observer records its
// calls.
#include "worker/fetch/fetch.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <optional>
#include <string>

#include "tests/unit/upstream_peers.h"
#include "worker/links/upstream_url.h"

namespace streamgate {
namespace {

using namespace testing_peers;  // NOLINT: this file is about them

class RecordingObserver final : public Fetch::Observer, public Fetch::Sink {
 public:
  std::optional<IpAddress> client_of_names() const override { return std::nullopt; }
  void on_next_url() override { ++next_urls; }
  void on_head(const ResponseHead& head) override {
    status = head.status;
    log += "head ";
    if (when_head) when_head();
  }
  void on_body(std::string_view bytes) override {
    if (!log.ends_with("body ")) log += "body ";
    body += bytes;
    if (when_body) when_body();
  }
  void on_read_done() override { ++reads; }
  void on_next_body() override { log += "next "; }
  void on_end() override {
    log += "end ";
    if (when_end) when_end();
  }
  void on_failed(const Error& error) override {
    log += "failed ";
    failure = error;
  }

  size_t room() override { return size_t{64} * 1024; }
  Pipe* borrow_pipe(uint64_t) override { return nullptr; }
  void on_piped() override { FAIL() << "no pipe was lent"; }
  uint64_t taken() const override { return body.size(); }

  bool is_over() const { return failure.has_value() || log.ends_with("end "); }

  std::string log;  // the order of calls; neighbouring bodies once
  int status = 0;
  std::string body;
  int reads = 0;
  int next_urls = 0;
  std::optional<Error> failure;
  std::function<void()> when_head, when_body, when_end;
};

class FetchTest : public testing::Test {
 protected:
  FetchTest() {
    security.allow_all_private = true;
    EXPECT_TRUE(pool.start().has_value());
  }

  static std::string host_of(const StubServer& server) {
    return "http://127.0.0.1:" + std::to_string(server.address().port());
  }
  Fetch& start(FetchRequest request) {
    fetch.emplace(environment, std::move(request), observer);
    fetch->start();
    return *fetch;
  }
  Fetch& start(const std::string& url) { return start({Method::get, parse_http_url(url).value()}); }
  Fetch& start() { return start(host_of(server) + "/a?b=c"); }

  // Waits until the server has got its `index`-th connection and a request on it.
  Peer& await_request(StubServer& from, size_t index, size_t requests = 1) {
    EXPECT_TRUE(until(
        [&] { return from.peers.size() > index && from.peer(index).requests() >= requests; }));
    return from.peer(index);
  }
  Peer& await_request(size_t index = 0, size_t requests = 1) {
    return await_request(server, index, requests);
  }
  bool until(const std::function<bool()>& done) { return run_until(base.get(), done); }
  bool is_over() {
    return until([&] { return observer.is_over(); });
  }
  void relay_when_head_comes() {
    observer.when_head = [this] { fetch->relay_into(observer); };
  }

  EventBase base{event_base_new()};
  TimerWheel wheel{base.get()};
  Reaper reaper{base.get()};
  UpstreamConfig config;
  SecurityConfig security;
  Counters counters;
  TargetGuard guard{security, {}};
  Resolver resolver{base.get(), wheel, config};
  HostTable hosts{config};
  Board board;
  std::array<Assignment, 1> assignments;
  std::array<Column, 1> columns;
  ConnectionPlaces places{
      columns[0].connections, 0, {board, assignments, columns}, Milliseconds(5000)};
  SocketMemory socket_memory{wheel};
  UpstreamPool pool{{base.get(), wheel, reaper, config, resolver, places, socket_memory, counters}};
  LoopMark loop_mark{"own"};
  OriginMarks marks{config, wheel, columns[0], {board, assignments, columns}};
  FetchEnvironment environment{config,   guard, loop_mark, marks,    hosts,
                               resolver, pool,  wheel,     counters, resolve_upstream_url};
  StubServer server{base.get()};
  RecordingObserver observer;
  std::optional<Fetch> fetch;
};

TEST_F(FetchTest, EveryRequestCarriesOurLoopMark) {
  FetchRequest request{Method::get, parse_http_url(host_of(server) + "/a").value()};
  request.cdn_loop = "cdn";
  start(request);
  await_request().send("HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n");
  EXPECT_NE(await_request().received.find("\r\nCDN-Loop: cdn, own;by=streamgate\r\n"),
            std::string::npos);
  const std::string& redirected = await_request(1).received;
  EXPECT_NE(redirected.find("\r\nCDN-Loop: cdn, own;by=streamgate\r\n"), std::string::npos);
  fetch->stop();
  start();
  EXPECT_NE(await_request(2).received.find("\r\nCDN-Loop: own;by=streamgate\r\n"),
            std::string::npos);
}

TEST_F(FetchTest, ARequestWithOurLoopMarkFailsBeforeItIsSent) {
  FetchRequest request{Method::get, parse_http_url(host_of(server) + "/a").value()};
  request.cdn_loop = "own;by=streamgate";
  start(request);
  ASSERT_TRUE(observer.failure.has_value());
  EXPECT_EQ(observer.failure->reason, Reason::loop);
  settle(base.get());
  EXPECT_TRUE(server.peers.empty());
}

TEST_F(FetchTest, HeadBodyAndEndComeInThisOrder) {
  start();
  await_request().send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  ASSERT_TRUE(is_over());
  EXPECT_TRUE(await_request().received.starts_with("GET /a?b=c HTTP/1.1\r\n"));
  EXPECT_EQ(observer.log, "head body end ");
  EXPECT_EQ(observer.status, 200);
  EXPECT_EQ(observer.body, "hello");
  EXPECT_EQ(fetch->step(), Fetch::Step::finished);
  EXPECT_EQ(fetch->attempts(), 1U);
  EXPECT_EQ(fetch->upstream_status(), 200);
  EXPECT_FALSE(fetch->left_origin());
}

TEST_F(FetchTest, TheConnectionOfACompleteAnswerServesTheNextFetch) {
  for (size_t i = 1; i <= 2; ++i) {
    observer = {};
    start();
    await_request(0, i).send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    ASSERT_TRUE(is_over());
    EXPECT_EQ(fetch->reused_connection(), i == 2);
  }
  EXPECT_EQ(server.peers.size(), 1U);
}

TEST_F(FetchTest, ADeadPooledConnectionIsReplacedByAFreshOne) {
  start();
  await_request().send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  ASSERT_TRUE(is_over());
  observer = {};
  start();
  await_request(0, 2).reset();
  await_request(1).send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  ASSERT_TRUE(is_over());
  EXPECT_EQ(observer.log, "head body end ");
  EXPECT_EQ(fetch->attempts(), 2U);
  EXPECT_FALSE(fetch->reused_connection());
}

TEST_F(FetchTest, ARedirectToAnotherOriginLosesTheSecretHeaders) {
  StubServer other(base.get());
  FetchRequest request{Method::get, parse_http_url(host_of(server) + "/a").value()};
  request.headers = {{"Cookie", "secret"}, {"X-Key", "k"}};
  start(std::move(request));
  await_request().send("HTTP/1.1 302 Found\r\nLocation: " + host_of(other) +
                       "/b\r\nContent-Length: 0\r\n\r\n");
  await_request(other, 0).send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  ASSERT_TRUE(is_over());
  EXPECT_NE(await_request().received.find("Cookie: secret"), std::string::npos);
  EXPECT_EQ(await_request(other, 0).received.find("Cookie"), std::string::npos);
  EXPECT_NE(await_request(other, 0).received.find("X-Key: k"), std::string::npos);
  EXPECT_EQ(observer.log, "head body end ");
  EXPECT_TRUE(fetch->left_origin());
  EXPECT_EQ(fetch->url().to_string(), host_of(other) + "/b");
  EXPECT_EQ(fetch->upstream_status(), 200);
}

TEST_F(FetchTest, ARedirectOnTheSameOriginKeepsTheSecretHeaders) {
  FetchRequest request{Method::get, parse_http_url(host_of(server) + "/a/b").value()};
  request.headers = {{"Cookie", "secret"}};
  start(std::move(request));
  await_request().send(
      "HTTP/1.1 307 Temporary Redirect\r\nLocation: ../c\r\nContent-Length: 0\r\n\r\n");
  await_request(1).send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  ASSERT_TRUE(is_over());
  EXPECT_TRUE(await_request(1).received.starts_with("GET /c HTTP/1.1\r\n"));
  EXPECT_NE(await_request(1).received.find("Cookie: secret"), std::string::npos);
  EXPECT_FALSE(fetch->left_origin());
}

TEST_F(FetchTest, RedirectsHaveALimit) {
  config.max_redirects = 1;
  start();
  for (size_t hop = 0; hop < 2; ++hop) {
    await_request(hop).send("HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n");
  }
  ASSERT_TRUE(is_over());
  EXPECT_EQ(observer.log, "failed ");
  EXPECT_EQ(observer.failure->reason, Reason::too_many_redirects);
}

TEST_F(FetchTest, ARedirectWithoutLocationIsPassedOn) {
  start();
  await_request().send("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n");
  ASSERT_TRUE(is_over());
  EXPECT_EQ(observer.status, 302);
}

TEST_F(FetchTest, TheGuardIsAskedBeforeAnythingIsSent) {
  security.allow_all_private = false;
  start();
  EXPECT_EQ(observer.failure->reason, Reason::target_forbidden);
  start("http://localhost:1/");
  EXPECT_EQ(observer.failure->reason, Reason::target_forbidden);
  settle(base.get());
  EXPECT_TRUE(server.peers.empty());
}

TEST_F(FetchTest, TheGuardIsAskedAgainForEachRedirect) {
  StubServer forbidden(base.get(), "127.0.0.2");
  security.allow_all_private = false;
  security.allow_private = {IpRange::parse("127.0.0.1").value()};
  start();
  await_request().send("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:" +
                       std::to_string(forbidden.address().port()) +
                       "/\r\nContent-Length: 0\r\n\r\n");
  ASSERT_TRUE(is_over());
  EXPECT_EQ(observer.failure->reason, Reason::target_forbidden);
  settle(base.get());
  EXPECT_TRUE(forbidden.peers.empty());
}

TEST_F(FetchTest, A403IsRetriedOnceWithoutRefererAndOrigin) {
  start();
  await_request().send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
  await_request(1).send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
  ASSERT_TRUE(is_over());
  EXPECT_NE(await_request(0).received.find("Referer: "), std::string::npos);
  EXPECT_EQ(await_request(1).received.find("Referer: "), std::string::npos);
  EXPECT_EQ(await_request(1).received.find("Origin: "), std::string::npos);
  EXPECT_EQ(observer.log, "head end ");
  EXPECT_EQ(observer.status, 403);
  EXPECT_EQ(fetch->attempts(), 2U);
}

TEST_F(FetchTest, A403IsFinalIfNoRefererAndNoOriginWasSent) {
  config.referer = config.origin = {HeaderPolicy::Kind::none, {}};
  HostTable silent(config);
  FetchEnvironment without_referer{config,   guard, loop_mark, marks,    silent,
                                   resolver, pool,  wheel,     counters, resolve_upstream_url};
  fetch.emplace(without_referer,
                FetchRequest{Method::get, parse_http_url(host_of(server) + "/a").value()},
                observer);
  fetch->start();
  await_request().send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
  ASSERT_TRUE(is_over());
  EXPECT_EQ(observer.status, 403);
  EXPECT_EQ(fetch->attempts(), 1U);
  fetch.reset();
}

TEST_F(FetchTest, RetryWithoutRangeReportsANewHead) {
  FetchRequest request{Method::get, parse_http_url(host_of(server) + "/a").value()};
  request.forwarded = {{"Range", "bytes=0-0"}};
  observer.when_head = [this] {
    if (fetch->asked_for_range()) fetch->retry_without_range();
  };
  start(std::move(request));
  await_request().send("HTTP/1.1 206 Partial Content\r\nContent-Length: 1\r\n\r\nx");
  await_request(1).send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nxy");
  ASSERT_TRUE(is_over());
  EXPECT_NE(await_request(0).received.find("Range: bytes=0-0"), std::string::npos);
  EXPECT_EQ(await_request(1).received.find("Range"), std::string::npos);
  EXPECT_EQ(observer.log, "head head body end ");
  EXPECT_EQ(observer.body, "xy");
}

TEST_F(FetchTest, RetryWithoutRangeWorksAtTheEndOfTheBodyToo) {
  FetchRequest request{Method::get, parse_http_url(host_of(server) + "/a").value()};
  request.forwarded = {{"Range", "bytes=0-0"}};
  observer.when_end = [this] {
    if (fetch->asked_for_range()) fetch->retry_without_range();
  };
  start(std::move(request));
  await_request().send("HTTP/1.1 206 Partial Content\r\nContent-Length: 1\r\n\r\nx");
  await_request(1).send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nxy");
  ASSERT_TRUE(until([&] { return observer.log == "head body end head body end "; }));
  EXPECT_EQ(observer.body, "xxy");
}

TEST_F(FetchTest, TheMissingBytesOfATruncatedBodyAreRequested) {
  relay_when_head_comes();
  start();
  await_request().send("HTTP/1.1 200 OK\r\nETag: \"v\"\r\nContent-Length: 10\r\n\r\nhello");
  ASSERT_TRUE(until([&] { return observer.body.size() == 5; }));
  await_request().close();
  EXPECT_NE(await_request(1).received.find("Range: bytes=5-9\r\nIf-Range: \"v\"\r\n"),
            std::string::npos);
  await_request(1).send(
      "HTTP/1.1 206 Partial Content\r\nETag: \"v\"\r\nContent-Range: bytes 5-9/10\r\n"
      "Content-Length: 5\r\n\r\nworld");
  ASSERT_TRUE(is_over());
  EXPECT_EQ(observer.log, "head body end ");
  EXPECT_EQ(observer.body, "helloworld");
  EXPECT_EQ(fetch->resumed(), 1U);
  EXPECT_EQ(counters[Counter::resumes_done].load(), 1U);
}

TEST_F(FetchTest, MissingBytesOfAnotherVersionAreRefused) {
  relay_when_head_comes();
  start();
  await_request().send("HTTP/1.1 200 OK\r\nETag: \"v\"\r\nContent-Length: 10\r\n\r\nhello");
  ASSERT_TRUE(until([&] { return observer.body.size() == 5; }));
  await_request().close();
  await_request(1).send(
      "HTTP/1.1 206 Partial Content\r\nETag: \"w\"\r\nContent-Range: bytes 5-9/10\r\n"
      "Content-Length: 5\r\n\r\nWORLD");
  ASSERT_TRUE(is_over());
  EXPECT_EQ(observer.log, "head body failed ");
  EXPECT_EQ(observer.failure->reason, Reason::truncated_body);
  EXPECT_EQ(observer.body, "hello");
}

TEST_F(FetchTest, ABodyWithoutASinkIsNotResumed) {
  start();
  await_request().send("HTTP/1.1 200 OK\r\nETag: \"v\"\r\nContent-Length: 10\r\n\r\nhello");
  ASSERT_TRUE(until([&] { return observer.body.size() == 5; }));
  await_request().close();
  ASSERT_TRUE(is_over());
  EXPECT_EQ(observer.failure->reason, Reason::truncated_body);
  EXPECT_EQ(fetch->attempts(), 1U);
}

TEST_F(FetchTest, ARefusedConnectionFails) {
  const SocketAddress nobody = refusing_address(base.get());
  start("http://127.0.0.1:" + std::to_string(nobody.port()) + "/");
  ASSERT_TRUE(is_over());
  EXPECT_EQ(observer.failure->reason, Reason::connect_failed);
}

TEST_F(FetchTest, NoCallFollowsStop) {
  observer.when_head = [this] { fetch->stop(); };
  start();
  await_request().send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  ASSERT_TRUE(until(
      [&] { return await_request().has_ended; }));  // an incomplete answer ends its connection
  EXPECT_EQ(observer.log, "head ");
  fetch->stop();
  EXPECT_EQ(fetch->step(), Fetch::Step::finished);
}

TEST_F(FetchTest, StopCancelsAPendingConnect) {
  const Blackhole hole;
  start("http://127.0.0.1:" + std::to_string(hole.address().port()) + "/");
  EXPECT_EQ(fetch->step(), Fetch::Step::connect);
  fetch->stop();
  settle(base.get());
  EXPECT_EQ(observer.log, "");
}

TEST_F(FetchTest, NothingIsReadWhilePaused) {
  start();
  Peer& peer = await_request();
  peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
  ASSERT_TRUE(until([&] { return observer.body == "hello"; }));
  fetch->pause();
  peer.send("world");
  settle(base.get());
  EXPECT_EQ(observer.body, "hello");
  fetch->go_on();
  ASSERT_TRUE(is_over());
  EXPECT_EQ(observer.body, "helloworld");
}

}  // namespace
}  // namespace streamgate
