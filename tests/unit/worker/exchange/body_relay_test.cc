#include "worker/exchange/body_relay.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <string>

#include "tests/unit/client_side.h"
#include "tests/unit/worker/exchange/path_recorder.h"

namespace streamgate {
namespace {

using namespace testing_peers;  // NOLINT: this file is about them

constexpr uint64_t kLongBody = uint64_t{1} << 30U;

class BodyRelayTest : public testing::Test {
 protected:
  // Sends the head before the relay begins, as the exchange does.
  BodyRelay& begin(const ClientFraming& framing, BodyRelay::Pieces pieces) {
    client.stream.send_head("HEAD\r\n\r\n", framing, true);
    relay.emplace(client.stream, BodyRelay::Tools{pipes, socket_memory}, observer, pieces);
    observer.path = &*relay;
    return *relay;
  }
  BodyRelay& begin_plain() {
    return begin({ClientFraming::Kind::length, kLongBody}, BodyRelay::Pieces::as_they_come);
  }
  // Fills a borrowed pipe and calls on_piped(), as UpstreamConnection does.
  void fill(Pipe& pipe, const std::string& bytes) {
    std::array<int, 2> fds{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds.data()), 0);
    const UniqueFd from(fds[0]);
    const UniqueFd to(fds[1]);
    ASSERT_EQ(::write(to.get(), bytes.data(), bytes.size()), std::ssize(bytes));
    ASSERT_EQ(pipe.fill_from(from.get(), bytes.size()), Pipe::Filled::some);
    relay->on_piped();
  }

  std::array<Assignment, 1> workers;
  ClientSide client;
  PathRecorder observer{client};
  PipePool pipes{client.wheel, workers, {size_t{1} << 20U, size_t{64} * 1024}};
  SocketMemory socket_memory{client.wheel};
  std::optional<BodyRelay> relay;
};

TEST_F(BodyRelayTest, PiecesOfAPlainBodyAreSentAtOnce) {
  begin_plain();
  relay->write("first");
  EXPECT_EQ(client.receive(), "HEAD\r\n\r\nfirst");
  relay->write("second");
  EXPECT_EQ(client.receive(), "second");
  EXPECT_EQ(relay->taken(), 11U);
}

TEST_F(BodyRelayTest, SmallChunksAreSentTogether) {
  begin({ClientFraming::Kind::chunked, 0}, BodyRelay::Pieces::gathered);
  relay->write("ab");
  relay->write("cd");
  EXPECT_EQ(client.receive(), "");
  relay->flush();
  EXPECT_EQ(client.receive(), "HEAD\r\n\r\n4\r\nabcd\r\n");
  EXPECT_EQ(relay->taken(), 4U);
}

TEST_F(BodyRelayTest, ALargeChunkFollowsTheSmallOnesBeforeIt) {
  begin({ClientFraming::Kind::until_close, 0}, BodyRelay::Pieces::gathered);
  const std::string large(3000, 'x');
  relay->write("ab");
  relay->write(large);
  EXPECT_EQ(client.receive(), "HEAD\r\n\r\nab" + large);
}

TEST_F(BodyRelayTest, GatheredBytesAreSentAt16KiB) {
  begin({ClientFraming::Kind::until_close, 0}, BodyRelay::Pieces::gathered);
  const std::string piece(1024, 'x');
  for (int i = 0; i < 15; ++i) relay->write(piece);
  EXPECT_EQ(client.receive(), "");
  relay->write(piece);
  EXPECT_NE(client.receive(), "");
}

TEST_F(BodyRelayTest, AFullSocketPausesUntilTheClientReads) {
  begin_plain();
  while (relay->room() > 0) relay->write(std::string(1024, 'x'));
  EXPECT_GE(observer.filled, 1);
  EXPECT_EQ(observer.opened, 0);
  const uint64_t taken = relay->taken();
  EXPECT_EQ(client.receive(taken + 9).size(), taken + 8);  // with the head
  EXPECT_GE(observer.opened, 1);
  EXPECT_GT(relay->room(), 0U);
}

TEST_F(BodyRelayTest, LongPlainBodiesGoThroughAPipe) {
  begin_plain();
  Pipe* pipe = relay->borrow_pipe(kLongBody);
  ASSERT_NE(pipe, nullptr);
  fill(*pipe, "spliced");
  EXPECT_EQ(client.receive(), "HEAD\r\n\r\nspliced");
  EXPECT_EQ(relay->taken(), 7U);
  EXPECT_EQ(relay->borrow_pipe(1024), nullptr);  // few remaining bytes are copied
}

TEST_F(BodyRelayTest, ChunkedBodiesGetNoPipe) {
  begin({ClientFraming::Kind::chunked, 0}, BodyRelay::Pieces::gathered);
  EXPECT_EQ(relay->borrow_pipe(kLongBody), nullptr);
}

TEST_F(BodyRelayTest, BytesLeftInThePipeFollowWhenTheClientDrains) {
  begin_plain();
  Pipe* pipe = relay->borrow_pipe(kLongBody);
  ASSERT_NE(pipe, nullptr);
  while (client.stream.write(std::string(512, 'x')) == BodyPath::Flow::open) continue;
  const uint64_t written = client.stream.body_bytes_sent();
  fill(*pipe, "spliced");
  EXPECT_EQ(relay->room(), 0U);
  relay->finish();
  EXPECT_EQ(observer.sent, 0);
  const std::string all = client.receive(written + 8 + 7);
  EXPECT_TRUE(all.ends_with("spliced"));
  EXPECT_EQ(observer.sent, 1);
}

TEST_F(BodyRelayTest, FinishSendsWhatWasGathered) {
  begin({ClientFraming::Kind::until_close, 0}, BodyRelay::Pieces::gathered);
  relay->write("ab");
  relay->finish();
  EXPECT_EQ(client.receive(), "HEAD\r\n\r\nab");
  EXPECT_EQ(observer.sent, 1);
}

TEST_F(BodyRelayTest, AClientThatLeftIsReported) {
  begin_plain();
  client.leave();
  relay->write("a");
  EXPECT_TRUE(observer.gone);
  EXPECT_EQ(observer.sent, 0);
}

TEST_F(BodyRelayTest, TakesLittleAndNoPipeWhileSocketMemoryIsShort) {
  begin_plain();
  EXPECT_GT(relay->room(), SocketMemory::kShortReadBytes);
  socket_memory.refused();
  EXPECT_LE(relay->room(), SocketMemory::kShortReadBytes);
  EXPECT_EQ(relay->borrow_pipe(kLongBody), nullptr);
}

}  // namespace
}  // namespace streamgate
