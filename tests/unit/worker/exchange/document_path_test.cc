#include "worker/exchange/document_path.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tests/unit/client_side.h"
#include "tests/unit/deflated.h"
#include "tests/unit/worker/exchange/path_recorder.h"
#include "worker/http/inflater.h"

namespace streamgate {
namespace {

using namespace testing_peers;  // NOLINT: this file is about them

constexpr std::string_view kUrlStart = "/stream?url=http%3A%2F%2Fup.example%2F";

class DocumentPathTest : public testing::Test {
 protected:
  DocumentPath& begin(ContentCoding coding = ContentCoding::identity) {
    return begin(coding, {{ClientFraming::Kind::until_close, 0}, kCompressFrom});
  }
  DocumentPath& begin(ContentCoding coding, const DocumentPath::Delivery& delivery) {
    auto body = begun_body(coding);
    path.emplace(client.stream, DocumentPath::Tools{bodies, work, client.wheel, counters},
                 std::move(body), observer, delivery);
    observer.path = &*path;
    return *path;
  }
  // Stores the text of this document for the documents that begin() begins.
  void remember(std::string_view document) {
    texts = &bodies.texts();
    const auto body = begun_body(ContentCoding::identity);
    ASSERT_TRUE(body->write(document, SIZE_MAX));
    ASSERT_TRUE(body->finish());
  }
  std::unique_ptr<DocumentBody> begun_body(ContentCoding coding) {
    auto body = bodies.borrow();
    body->setting() = {};
    body->setting().base_url = "http://up.example/list.m3u8";
    body->setting().route_path = "/stream";
    body->setting().longest_line = 1024;
    body->begin(DocumentKind::hls, coding, texts);
    return body;
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

  // Calls `function` in a turn of the loop.
  void in_a_turn(std::function<void()> function) {
    WorkQueue::Task task(work, &function,
                         [](void* owner) { (*static_cast<std::function<void()>*>(owner))(); });
    task.schedule();
    event_base_loop(client.base.get(), EVLOOP_ONCE);
  }

  static constexpr size_t kCompressFrom = size_t{16} * 1024;

  // Receives until the client has decoded a text of that size. Returns the text.
  std::string receive_text(size_t size) {
    std::string text;
    for (int idle = 0; text.size() < size && idle < 500; ++idle) {
      event_base_loop(client.base.get(), EVLOOP_NONBLOCK);
      coded += client.receive();
      if (!observer.head) continue;
      std::string_view body = std::string_view(coded).substr(8);  // behind the head
      text.clear();
      Inflater inflater(ContentCoding::gzip);
      for (auto piece = inflater.next(body); piece && !piece->empty();
           piece = inflater.next(body)) {
        text += *piece;
      }
      is_whole = inflater.finish().has_value();
    }
    return text;
  }

  ClientSide client;
  PathRecorder observer{client};
  std::string coded;      // receive_text()'s
  bool is_whole = false;  // the coded stream has ended
  Counters counters;
  DocumentBodies bodies;
  RewrittenTexts* texts = nullptr;
  Reaper reaper{client.base.get()};
  WorkQueue work{client.base.get(), reaper};
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

TEST_F(DocumentPathTest, TheRestOfALongDocumentWaitsForTheEndOfALongTurn) {
  constexpr size_t kSegments = 2300;
  client.widen();
  begin();
  in_a_turn([&] {
    while (!work.is_turn_long()) {
    }
    path->write(playlist(kSegments, ""));
    EXPECT_EQ(observer.filled, 0);  // no longer than most documents
    path->write(playlist(kSegments, ""));
    EXPECT_EQ(observer.filled, 0);  // it was not long yet when this came
    path->write("last.ts\n");
    EXPECT_EQ(observer.filled, 1);
  });
  const std::string half = playlist(kSegments, kUrlStart);
  const std::string whole = half + half + std::string(kUrlStart) + "last.ts\n";
  std::string received = client.receive(whole.size() + 8);
  EXPECT_EQ(observer.opened, 1);
  path->finish();
  received += client.receive(whole.size() + 8 - received.size());
  EXPECT_EQ(received.substr(8), whole);
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

TEST_F(DocumentPathTest, ALongDocumentIsCodedAndItsLengthIsKnownIfItFitsIntoOneSend) {
  observer.takes_gzip = true;
  begin();
  path->write(playlist(1000, ""));
  path->finish();
  const std::string text = playlist(1000, kUrlStart);
  EXPECT_EQ(receive_text(text.size()), text);
  EXPECT_TRUE(is_whole);
  EXPECT_EQ(observer.coding, ContentCoding::gzip);
  EXPECT_EQ(observer.head->kind, ClientFraming::Kind::length);
  EXPECT_EQ(observer.head->length + 8, coded.size());
  EXPECT_LT(coded.size(), text.size() / 5);
  EXPECT_EQ(observer.sent, 1);
}

TEST_F(DocumentPathTest, AcceptEncodingIsReadForALongDocumentOnly) {
  observer.takes_gzip = true;
  begin();
  path->write(playlist(300, ""));
  path->finish();
  const std::string text = playlist(300, kUrlStart);
  ASSERT_LT(text.size(), kCompressFrom);
  EXPECT_EQ(client.receive(text.size() + 8), "HEAD\r\n\r\n" + text);
  EXPECT_EQ(observer.coding, ContentCoding::identity);
  EXPECT_EQ(observer.questions, 0);
}

TEST_F(DocumentPathTest, ALongDocumentIsPlainIfTheClientTakesNoGzip) {
  begin();
  path->write(playlist(1000, ""));
  path->finish();
  const std::string text = playlist(1000, kUrlStart);
  EXPECT_EQ(client.receive(text.size() + 8), "HEAD\r\n\r\n" + text);
  EXPECT_EQ(observer.coding, ContentCoding::identity);
  EXPECT_EQ(observer.questions, 1);
}

TEST_F(DocumentPathTest, WithoutCompressionNothingIsCodedOrHeldBack) {
  observer.takes_gzip = true;
  begin(ContentCoding::identity, {{ClientFraming::Kind::until_close, 0}, 0});
  path->write("#EXTM3U\na.ts\n");
  path->flush();
  EXPECT_EQ(client.receive(), "HEAD\r\n\r\n#EXTM3U\n" + std::string(kUrlStart) + "a.ts\n");
  path->write(playlist(1000, ""));
  path->finish();
  const std::string text = playlist(1000, kUrlStart);
  EXPECT_EQ(client.receive(text.size()), text);
  EXPECT_EQ(observer.questions, 0);
}

TEST_F(DocumentPathTest, EachPauseOfTheUpstreamSendsAllThatCanBeDecoded) {
  observer.takes_gzip = true;
  begin();
  path->write(playlist(1000, ""));
  path->flush();
  std::string text = playlist(1000, kUrlStart);
  EXPECT_EQ(receive_text(text.size()), text);
  EXPECT_EQ(observer.head->kind, ClientFraming::Kind::until_close);
  path->write("last.ts\n");
  path->flush();
  text += std::string(kUrlStart) + "last.ts\n";
  EXPECT_EQ(receive_text(text.size()), text);
  EXPECT_FALSE(is_whole);
  const size_t before = coded.size();
  path->flush();  // nothing new
  EXPECT_EQ(receive_text(text.size() + 1).size(), text.size());
  EXPECT_EQ(coded.size(), before);
  path->finish();
  EXPECT_EQ(receive_text(text.size()), text);
  EXPECT_TRUE(is_whole);
}

TEST_F(DocumentPathTest, AShortBeginningWaitsForMoreAndIsThenCoded) {
  observer.takes_gzip = true;
  begin();
  path->write("#EXTM3U\n");
  path->flush();
  EXPECT_EQ(client.receive(), "");
  path->write(playlist(1000, ""));
  path->finish();
  const std::string text = "#EXTM3U\n" + playlist(1000, kUrlStart);
  EXPECT_EQ(receive_text(text.size()), text);
  EXPECT_EQ(observer.coding, ContentCoding::gzip);
}

TEST_F(DocumentPathTest, AShortBeginningIsSentPlainIfNothingFollows) {
  observer.takes_gzip = true;
  begin();
  path->write("#EXTM3U\na.ts\n");
  path->flush();
  std::string received;
  while (received.empty()) {
    event_base_loop(client.base.get(), EVLOOP_ONCE);
    received = client.receive();
  }
  EXPECT_EQ(received, "HEAD\r\n\r\n#EXTM3U\n" + std::string(kUrlStart) + "a.ts\n");
  path->write(playlist(1000, ""));
  path->finish();
  const std::string text = playlist(1000, kUrlStart);
  EXPECT_EQ(client.receive(text.size()), text);
  EXPECT_EQ(observer.coding, ContentCoding::identity);
}

TEST_F(DocumentPathTest, AShortBeginningOfALongBodyIsCodedAtOnce) {
  observer.takes_gzip = true;
  begin(ContentCoding::identity, {{ClientFraming::Kind::until_close, 0}, kCompressFrom, 20'000});
  path->write("#EXTM3U\na.ts\n");
  path->flush();
  const std::string text = "#EXTM3U\n" + std::string(kUrlStart) + "a.ts\n";
  EXPECT_EQ(receive_text(text.size()), text);
}

TEST_F(DocumentPathTest, ACutDocumentIsSentAsFarAsItCameAndHasNoEnd) {
  observer.takes_gzip = true;
  begin();
  path->write(playlist(1000, ""));
  path->flush();
  const std::string text = playlist(1000, kUrlStart);
  EXPECT_EQ(receive_text(text.size()), text);
  path->write("b.ts\ntrunc");
  path->cut();
  EXPECT_EQ(receive_text(text.size() + 1), text + std::string(kUrlStart) + "b.ts\n");
  EXPECT_FALSE(is_whole);
  EXPECT_EQ(observer.sent, 1);
}

TEST_F(DocumentPathTest, AKnownBeginningIsSentWhenTheDocumentIsCut) {
  remember("#EXTM3U\na.ts\nb.ts\n");
  begin();
  path->write("#EXTM3U\na.ts\nb.t");
  path->cut();
  EXPECT_EQ(client.receive(), "HEAD\r\n\r\n#EXTM3U\n" + std::string(kUrlStart) + "a.ts\n");
}

TEST_F(DocumentPathTest, AKnownBeginningIsSentWhenAFullClientDrains) {
  remember("#EXTM3U\na.ts\nb.ts\n");
  const size_t filler = client.fill();
  ASSERT_EQ(client.stream.room(), 0U);
  begin();
  path->write("#EXTM3U\na.ts\n");
  path->flush();
  const std::string text = "HEAD\r\n\r\n#EXTM3U\n" + std::string(kUrlStart) + "a.ts\n";
  EXPECT_EQ(client.receive(filler + text.size()), std::string(filler, 'x') + text);
}

// Random names, which compress badly: 4 MB do not fit into the bound.
TEST_F(DocumentPathTest, ACodedDocumentForAClientThatDoesNotReadKeepsTheBound) {
  std::string lines;
  uint64_t random = 1;
  while (lines.size() < size_t{4} << 20U) {
    random = random * 6364136223846793005U + 1442695040888963407U;
    lines += std::to_string(random) + "\n";
  }
  observer.takes_gzip = true;
  begin();
  path->write("#EXTM3U\n" + lines);
  path->finish();
  for (int i = 0; i < 500; ++i) event_base_loop(client.base.get(), EVLOOP_NONBLOCK);
  EXPECT_GE(observer.filled, 1);
  EXPECT_LT(client.stream.body_bytes_sent(), size_t{256} * 1024);
  EXPECT_EQ(observer.sent, 0);
}

TEST_F(DocumentPathTest, LongWorkIsDoneInSlices) {
  std::string lines;  // that leave nothing
  while (lines.size() < size_t{2} * 1024 * 1024) lines += "<br /><b>Warning</b>: line 1<br />\n";
  begin();
  path->write(lines + "#EXTM3U\na.ts\n");
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
