#include "worker/exchange/document_path.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "tests/unit/client_side.h"
#include "tests/unit/deflated.h"
#include "tests/unit/worker/exchange/path_recorder.h"

namespace streamgate {
namespace {

using namespace testing_peers;  // NOLINT: this file is about them

constexpr std::string_view kUrlStart = "/stream?url=http%3A%2F%2Fup.example%2F";

class DocumentPathTest : public testing::Test {
 protected:
  DocumentPath& begin(ContentCoding coding = ContentCoding::identity) {
    auto body = bodies.borrow();
    body->setting() = {};
    body->setting().base_url = "http://up.example/list.m3u8";
    body->setting().route_path = "/stream";
    body->setting().longest_line = 1024;
    body->begin(DocumentKind::hls, coding);
    path.emplace(client.stream, DocumentPath::Tools{bodies, work, counters}, std::move(body),
                 observer, ClientFraming{ClientFraming::Kind::until_close, 0});
    observer.path = &*path;
    return *path;
  }
  // A media playlist of that many segments. `before_name` precedes each file name: the expected
  // links have a prefix.
  static std::string playlist(size_t segments, std::string_view before_name) {
    std::string out = "#EXTM3U\n";
    for (size_t i = 0; i < segments; ++i) {
      out += std::string(before_name) + std::to_string(i) + ".ts\n";
    }
    return out;
  }

  ClientSide client;
  PathRecorder observer{client};
  Counters counters;
  DocumentBodies bodies;
  WorkQueue work{client.base.get()};
  std::optional<DocumentPath> path;
};

TEST_F(DocumentPathTest, AShortDocumentIsSentAtItsEndWithContentLength) {
  begin();
  path->write("#EXTM3U\na.t");
  path->write("s\n");
  EXPECT_EQ(client.receive(), "");
  path->finish();
  const std::string text = "#EXTM3U\n" + std::string(kUrlStart) + "a.ts\n";
  EXPECT_EQ(client.receive(), "HEAD\r\n\r\n" + text);
  ASSERT_TRUE(observer.head.has_value());
  EXPECT_EQ(observer.head->kind, ClientFraming::Kind::length);
  EXPECT_EQ(observer.head->length, text.size());
  EXPECT_EQ(observer.sent, 1);
}

TEST_F(DocumentPathTest, TheEndOfAReadSendsTheRewrittenText) {
  begin();
  path->write("#EXTM3U\na.ts\n");
  path->flush();
  EXPECT_EQ(client.receive(), "HEAD\r\n\r\n#EXTM3U\n" + std::string(kUrlStart) + "a.ts\n");
  EXPECT_EQ(observer.head->kind, ClientFraming::Kind::until_close);
  path->flush();  // nothing more is ready
  EXPECT_EQ(client.receive(), "");
}

TEST_F(DocumentPathTest, ACodedDocumentIsInflated) {
  begin(ContentCoding::gzip);
  path->write(deflated("#EXTM3U\na.ts\n", kGzipWrapped));
  path->finish();
  EXPECT_EQ(client.receive(), "HEAD\r\n\r\n#EXTM3U\n" + std::string(kUrlStart) + "a.ts\n");
}

TEST_F(DocumentPathTest, AFullClientStopsTheRewritingUntilItDrains) {
  constexpr size_t kSegments = 20'000;
  begin();
  path->write(playlist(kSegments, ""));
  EXPECT_GE(observer.filled, 1);
  const size_t queued = client.stream.body_bytes_sent();
  EXPECT_LT(queued, size_t{512} * 1024);  // of about 1 MiB
  path->write("last.ts\n");
  EXPECT_EQ(client.stream.body_bytes_sent(), queued);

  const std::string whole = playlist(kSegments, kUrlStart) + std::string(kUrlStart) + "last.ts\n";
  std::string received = client.receive(whole.size() + 8);
  path->finish();
  received += client.receive(whole.size() + 8 - received.size());
  EXPECT_EQ(received.substr(8), whole);
  EXPECT_GE(observer.opened, 1);
  EXPECT_EQ(observer.sent, 1);
}

TEST_F(DocumentPathTest, ABrokenCodingIsReportedBeforeAnyHead) {
  begin(ContentCoding::gzip);
  path->write("this is not gzip");
  ASSERT_TRUE(observer.failure.has_value());
  EXPECT_EQ(observer.failure->reason, Reason::bad_response);
  EXPECT_FALSE(observer.head.has_value());
}

TEST_F(DocumentPathTest, ATruncatedCodingIsReportedAtTheEnd) {
  const std::string whole = deflated("#EXTM3U\na.ts\n", kGzipWrapped);
  begin(ContentCoding::gzip);
  path->write(std::string_view(whole).substr(0, whole.size() - 4));
  EXPECT_FALSE(observer.failure.has_value());
  path->finish();
  EXPECT_TRUE(observer.failure.has_value());
  EXPECT_EQ(observer.sent, 0);
}

TEST_F(DocumentPathTest, LinesThatAreTooLongAreCounted) {
  begin();
  path->write("#EXTM3U\n" + std::string(2000, 'x') + "\n");
  path->finish();
  EXPECT_EQ(counters[Counter::playlist_lines_too_long].load(), 1U);
}

TEST_F(DocumentPathTest, AClientThatLeftIsReported) {
  begin();
  client.leave();
  path->write("#EXTM3U\na.ts\n");
  path->finish();
  EXPECT_TRUE(observer.gone);
  EXPECT_EQ(observer.sent, 0);
}

TEST_F(DocumentPathTest, ABombFillsOnlyTheBoundOfAClientThatDoesNotRead) {
  std::string lines = "#EXTM3U\n";
  for (int i = 0; i < 300'000; ++i) lines += "a\n";
  begin(ContentCoding::gzip);
  path->write(deflated(lines, kGzipWrapped));
  path->finish();
  for (int i = 0; i < 100; ++i) event_base_loop(client.base.get(), EVLOOP_NONBLOCK);
  EXPECT_GE(observer.filled, 1);
  EXPECT_LT(client.stream.body_bytes_sent(), size_t{300} * 1024);
  EXPECT_EQ(observer.sent, 0);

  const size_t whole = 8 + 8 + 300'000 * (kUrlStart.size() + 2);
  EXPECT_EQ(client.receive(whole).size(), whole);
  EXPECT_EQ(observer.sent, 1);
}

TEST_F(DocumentPathTest, LongWorkIsDoneInSlices) {
  std::string lines = "#EXTM3U\n";
  while (lines.size() < size_t{2} * 1024 * 1024)
    lines += "#EXT-X-CONTENT-STEERING:SERVER-URI=\"x\"\n";
  begin();
  path->write(lines + "a.ts\n");
  EXPECT_EQ(observer.filled, 1);  // pauses the upstream, although the client has room
  EXPECT_EQ(observer.opened, 0);
  path->finish();
  EXPECT_EQ(observer.sent, 0);
  const std::string text = "#EXTM3U\n" + std::string(kUrlStart) + "a.ts\n";
  EXPECT_EQ(client.receive(text.size() + 8), "HEAD\r\n\r\n" + text);
  EXPECT_EQ(observer.sent, 1);
}

}  // namespace
}  // namespace streamgate
