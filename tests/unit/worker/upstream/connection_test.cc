#include "worker/upstream/connection.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/unit/upstream_peers.h"

namespace streamgate {
namespace {

using namespace testing_peers;  // NOLINT: used throughout

class UpstreamConnectionTest : public testing::Test, protected ConnectionBench {
 protected:
  UpstreamConnectionTest() {
    config.first_byte_timeout = Milliseconds{300};
    config.idle_timeout = Milliseconds{300};
    connect();
  }

  void answer(Recorder& handler, std::string_view bytes) {
    peer().send(bytes);
    EXPECT_TRUE(until([&] { return handler.is_over(); }));
  }
};

TEST_F(UpstreamConnectionTest, PassesHeadBodyAndEndInThisOrder) {
  ask(recorder);
  answer(recorder, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_EQ(recorder.log, "head body end ");
  EXPECT_EQ(recorder.status, 200);
  EXPECT_EQ(recorder.body, "hello");
  EXPECT_TRUE(connection->can_be_kept());
  EXPECT_EQ(counters[Counter::bytes_from_upstreams].load(), 43U);
}

TEST_F(UpstreamConnectionTest, ServesSeveralRequests) {
  for (int i = 0; i < 3; ++i) {
    Recorder each;
    ask(each);
    EXPECT_EQ(connection->reused(), i > 0);
    answer(each, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + std::to_string(i));
    EXPECT_EQ(each.body, std::to_string(i));
    ASSERT_TRUE(connection->can_be_kept());
    connection->end_loan();
  }
}

TEST_F(UpstreamConnectionTest, DecodesAChunkedBodyThatArrivesByteByByte) {
  ask(recorder);
  const std::string bytes =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
  for (const char byte : bytes) {
    peer().send(std::string_view(&byte, 1));
    event_base_loop(base.get(), EVLOOP_NONBLOCK);
  }
  ASSERT_TRUE(until([&] { return recorder.ended; }));
  EXPECT_EQ(recorder.body, "hello world");
  EXPECT_TRUE(connection->can_be_kept());
}

TEST_F(UpstreamConnectionTest, ABodyWithoutLengthEndsWithTheConnection) {
  ask(recorder);
  peer().send("HTTP/1.1 200 OK\r\n\r\nall of it");
  peer().close();
  ASSERT_TRUE(until([&] { return recorder.ended; }));
  EXPECT_EQ(recorder.body, "all of it");
  EXPECT_FALSE(connection->can_be_kept());
}

TEST_F(UpstreamConnectionTest, ABodyShorterThanItsLengthIsTruncated) {
  ask(recorder);
  peer().send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
  peer().close();
  ASSERT_TRUE(until([&] { return recorder.is_over(); }));
  EXPECT_EQ(recorder.log, "head body error ");
  EXPECT_EQ(recorder.reason(), Reason::truncated_body);
  EXPECT_EQ(recorder.retry, UpstreamConnection::Observer::Retry::no);
}

TEST_F(UpstreamConnectionTest, AResetInsideABodyWithoutLengthIsTruncated) {
  ask(recorder);
  peer().send("HTTP/1.1 200 OK\r\n\r\nhalf");
  ASSERT_TRUE(until([&] { return recorder.body == "half"; }));
  peer().reset();
  ASSERT_TRUE(until([&] { return recorder.is_over(); }));
  EXPECT_EQ(recorder.reason(), Reason::truncated_body);
}

TEST_F(UpstreamConnectionTest, AnEndInsideTheHeadIsABadResponse) {
  ask(recorder);
  peer().send("HTTP/1.1 200 OK\r\nContent-Le");
  peer().close();
  ASSERT_TRUE(until([&] { return recorder.is_over(); }));
  EXPECT_EQ(recorder.reason(), Reason::bad_response);
}

TEST_F(UpstreamConnectionTest, BytesThatAreNotHttpAreABadResponse) {
  ask(recorder);
  answer(recorder, "SSH-2.0-OpenSSH_9.2\r\n");
  EXPECT_EQ(recorder.reason(), Reason::bad_response);
}

TEST_F(UpstreamConnectionTest, AReusedConnectionThatEndsBeforeAByteAllowsARetry) {
  ask(recorder);
  answer(recorder, "HTTP/1.1 204 No Content\r\n\r\n");
  connection->end_loan();
  Recorder second;
  ask(second);
  peer().close();
  ASSERT_TRUE(until([&] { return second.is_over(); }));
  EXPECT_EQ(second.retry, UpstreamConnection::Observer::Retry::on_fresh_connection);
}

TEST_F(UpstreamConnectionTest, AReusedConnectionThatIsResetAllowsARetry) {
  ask(recorder);
  answer(recorder, "HTTP/1.1 204 No Content\r\n\r\n");
  connection->end_loan();
  Recorder second;
  connection->begin_loan();
  peer().reset();
  connection->send_request(kRequest, Method::get, second);
  ASSERT_TRUE(until([&] { return second.is_over(); }));
  EXPECT_EQ(second.retry, UpstreamConnection::Observer::Retry::on_fresh_connection);
}

TEST_F(UpstreamConnectionTest, AReusedConnectionThatEndsAfterAByteAllowsNoRetry) {
  ask(recorder);
  answer(recorder, "HTTP/1.1 204 No Content\r\n\r\n");
  connection->end_loan();
  Recorder second;
  ask(second);
  peer().send("HTT");
  peer().close();
  ASSERT_TRUE(until([&] { return second.is_over(); }));
  EXPECT_EQ(second.retry, UpstreamConnection::Observer::Retry::no);
}

TEST_F(UpstreamConnectionTest, AFreshConnectionThatEndsBeforeAByteAllowsNoRetry) {
  ask(recorder);
  peer().close();
  ASSERT_TRUE(until([&] { return recorder.is_over(); }));
  EXPECT_EQ(recorder.reason(), Reason::bad_response);
  EXPECT_EQ(recorder.retry, UpstreamConnection::Observer::Retry::no);
}

TEST_F(UpstreamConnectionTest, BytesAfterTheResponseMakeTheConnectionUnfit) {
  ask(recorder);
  answer(recorder, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n");
  EXPECT_TRUE(recorder.ended);
  EXPECT_EQ(recorder.body, "x");
  EXPECT_FALSE(connection->can_be_kept());
}

TEST_F(UpstreamConnectionTest, BytesThatFollowLaterMakeTheConnectionUnfit) {
  ask(recorder);
  answer(recorder, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
  ASSERT_TRUE(connection->can_be_kept());
  peer().send("more");
  EXPECT_TRUE(until([&] { return !connection->can_be_kept(); }));
}

TEST_F(UpstreamConnectionTest, ConnectionCloseMakesTheConnectionUnfit) {
  ask(recorder);
  answer(recorder, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx");
  EXPECT_FALSE(connection->can_be_kept());
}

TEST_F(UpstreamConnectionTest, AnIdleConnectionThatReceivesBytesIsReported) {
  ask(recorder);
  answer(recorder, "HTTP/1.1 204 No Content\r\n\r\n");
  connection->end_loan();
  settle(base.get());
  EXPECT_EQ(keeper.ended, 0);
  peer().send("HTTP/1.1 408 Request Timeout\r\n\r\n");
  EXPECT_TRUE(until([&] { return keeper.ended == 1; }));
}

TEST_F(UpstreamConnectionTest, APauseStopsTheBodyAndLosesNothing) {
  const std::string body(8 * 1024 * 1024, 'x');
  ask(recorder);
  recorder.when_body = [&] { connection->pause(); };
  peer().send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
              body);
  ASSERT_TRUE(until([&] { return !recorder.body.empty(); }));
  const size_t seen = recorder.body.size();
  EXPECT_LE(seen, 64U * 1024);  // the first read is a small one
  settle(base.get());
  EXPECT_EQ(recorder.body.size(), seen);
  EXPECT_GT(peer().unsent(), 0U);  // the other bytes wait in the kernel
  while (!recorder.is_over()) {
    const size_t before = recorder.body.size();
    connection->resume();
    EXPECT_EQ(recorder.body.size(), before);  // never from inside resume()
    ASSERT_TRUE(until([&] { return recorder.is_over() || recorder.body.size() > before; }));
    EXPECT_LE(recorder.body.size() - before, scratch.size());
  }
  EXPECT_TRUE(recorder.ended);
  EXPECT_EQ(recorder.body, body);
}

TEST_F(UpstreamConnectionTest, APauseHoldsBetweenTwoPiecesOfOneRead) {
  ask(recorder);
  recorder.when_body = [&] { connection->pause(); };
  peer().send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n");
  for (const char* expected : {"a", "ab"}) {
    ASSERT_TRUE(until([&] { return recorder.body == expected; }));
    settle(base.get());
    EXPECT_EQ(recorder.body, expected);
    EXPECT_FALSE(recorder.ended);
    connection->resume();
  }
  ASSERT_TRUE(until([&] { return recorder.ended; }));
  EXPECT_TRUE(connection->can_be_kept());
}

TEST_F(UpstreamConnectionTest, AnEndDuringAPauseIsReportedAfterIt) {
  ask(recorder);
  recorder.when_body = [&] { connection->pause(); };
  peer().send("HTTP/1.1 200 OK\r\n\r\nx");
  ASSERT_TRUE(until([&] { return recorder.body == "x"; }));
  peer().close();
  settle(base.get());
  EXPECT_FALSE(recorder.is_over());
  connection->resume();
  EXPECT_TRUE(until([&] { return recorder.ended; }));
}

TEST_F(UpstreamConnectionTest, AnIncompleteHeadRunsIntoTheFirstByteTimeout) {
  ask(recorder);
  peer().send("HTTP/1.1 200 OK\r\n");
  ASSERT_TRUE(until([&] { return recorder.is_over(); }));
  EXPECT_EQ(recorder.reason(), Reason::first_byte_timeout);
  EXPECT_EQ(recorder.retry, UpstreamConnection::Observer::Retry::no);
}

TEST_F(UpstreamConnectionTest, BytesOfAHeadDoNotExtendItsTimeout) {
  ask(recorder);
  const int64_t start = wheel.now_ms();
  int64_t last = start;
  peer().send("HTTP/1.1 200 OK\r\nX: ");
  ASSERT_TRUE(until([&] {
    if (wheel.now_ms() - last >= 50) {
      last = wheel.now_ms();
      peer().send("x");
    }
    return recorder.is_over();
  }));
  EXPECT_EQ(recorder.reason(), Reason::first_byte_timeout);
  EXPECT_LT(wheel.now_ms() - start, 2000);
}

TEST_F(UpstreamConnectionTest, ABodyThatStopsRunsIntoTheIdleTimeout) {
  ask(recorder);
  peer().send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx");
  ASSERT_TRUE(until([&] { return recorder.is_over(); }));
  EXPECT_EQ(recorder.reason(), Reason::idle_timeout);
}

TEST_F(UpstreamConnectionTest, NoTimeoutRunsDuringAPause) {
  ask(recorder);
  recorder.when_body = [&] { connection->pause(); };
  peer().send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx");
  const int64_t start = wheel.now_ms();
  ASSERT_TRUE(until([&] { return wheel.now_ms() - start > 700; }));
  EXPECT_FALSE(recorder.is_over());
  connection->resume();
  ASSERT_TRUE(until([&] { return recorder.is_over(); }));
  EXPECT_EQ(recorder.reason(), Reason::idle_timeout);
}

TEST_F(UpstreamConnectionTest, TheLoanMayEndInsideEveryCallback) {
  using Hook = std::function<void()> Recorder::*;
  for (const Hook hook : {&Recorder::when_head, &Recorder::when_body, &Recorder::when_read_done,
                          &Recorder::when_end, &Recorder::when_error}) {
    UpstreamConnection each(tools, keeper, UpstreamSocket(connected()));
    const size_t index = server.peers.size();
    ASSERT_TRUE(until([&] { return server.peers.size() == index + 1; }));
    Recorder ending;
    bool closed = false;
    std::string log_then;
    ending.*hook = [&] {
      log_then = ending.log;
      closed = true;
      each.close();
    };
    each.begin_loan();
    each.send_request(kRequest, Method::get, ending);
    const bool fails = hook == &Recorder::when_error;
    server.peer(index).send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
    if (hook == &Recorder::when_end) server.peer(index).send("0\r\n\r\n");
    if (fails) server.peer(index).send("bad\n");
    ASSERT_TRUE(until([&] { return closed; }));
    settle(base.get());
    EXPECT_EQ(ending.log, log_then);  // nothing after the end of the loan
  }
}

TEST_F(UpstreamConnectionTest, TheNextRequestMayBeginInsideOnEnd) {
  Recorder second;
  recorder.when_end = [&] {
    connection->end_loan();
    connection->begin_loan();
    connection->send_request(kRequest, Method::get, second);
  };
  ask(recorder);
  peer().send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
  ASSERT_TRUE(until([&] { return peer().requests() == 2; }));
  peer().send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ny");
  ASSERT_TRUE(until([&] { return second.ended; }));
  EXPECT_EQ(recorder.body + second.body, "xy");
}

TEST_F(UpstreamConnectionTest, ARequestLargerThanTheSocketBufferIsSentInParts) {
  const std::string request =
      "GET / HTTP/1.1\r\nX: " + std::string(8 * 1024 * 1024, 'x') + "\r\n\r\n";
  config.first_byte_timeout = Milliseconds{5000};
  connection->begin_loan();
  connection->send_request(request, Method::get, recorder);
  ASSERT_TRUE(until([&] { return peer().requests() == 1; }));
  EXPECT_EQ(peer().received, request);
  answer(recorder, "HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_TRUE(recorder.ended);
}

TEST_F(UpstreamConnectionTest, AnAnswerBeforeTheRequestIsSentMakesTheConnectionUnfit) {
  connection->begin_loan();
  connection->send_request(
      "GET / HTTP/1.1\r\nX: " + std::string(32 * 1024 * 1024, 'x') + "\r\n\r\n", Method::get,
      recorder);
  peer().send("HTTP/1.1 431 Too Large\r\nContent-Length: 0\r\n\r\n");
  ASSERT_TRUE(until([&] { return recorder.is_over(); }));
  EXPECT_EQ(recorder.status, 431);
  EXPECT_FALSE(connection->can_be_kept());
}

TEST_F(UpstreamConnectionTest, AnswersToHeadHaveNoBody) {
  ask(recorder, Method::head);
  answer(recorder, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
  EXPECT_EQ(recorder.log, "head end ");
  EXPECT_TRUE(connection->can_be_kept());
}

}  // namespace
}  // namespace streamgate
