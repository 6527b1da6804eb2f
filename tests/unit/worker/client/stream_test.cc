#include "worker/client/stream.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include "common/unique_fd.h"
#include "worker/loop/event.h"

namespace streamgate {
namespace {

using std::chrono::milliseconds;
using Flow = ClientStream::Flow;

struct Owner final : ClientStream::Owner {
  void on_response_sent() override { ++sent; }
  void on_response_broken() override { ++broken; }
  int sent = 0;
  int broken = 0;
};

struct Observer final : ClientStream::Observer {
  void on_client_drained() override { ++drained; }
  void on_client_gone(Reason reason) override { gone.push_back(reason); }
  int drained = 0;
  std::vector<Reason> gone;
};

class ClientStreamTest : public testing::Test {
 protected:
  ClientStreamTest() : base(event_base_new()), wheel(base.get()) {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    ours.reset(fds[0]);
    theirs.reset(fds[1]);
    const int small = 8 * 1024;
    ::setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    socket.emplace(fds[0], nullptr);
    stream.attach(base.get(), *socket, {});
    stream.begin(head, id, &observer);
  }

  std::string receive() {
    std::string out(size_t{1} << 20U, '\0');
    const ssize_t size = ::recv(theirs.get(), out.data(), out.size(), 0);
    out.resize(size > 0 ? static_cast<size_t>(size) : 0);
    return out;
  }

  void run_until(const std::function<bool()>& done) {
    const int64_t limit = wheel.now_ms() + 5'000;
    while (!done() && wheel.now_ms() < limit) event_base_loop(base.get(), EVLOOP_ONCE);
    EXPECT_TRUE(done());
  }

  void settle() {
    for (int i = 0; i < 20; ++i) event_base_loop(base.get(), EVLOOP_NONBLOCK);
  }

  EventBase base;
  TimerWheel wheel;
  UniqueFd ours;
  UniqueFd theirs;
  std::optional<ClientSocket> socket;
  Owner owner;
  Observer observer;
  RequestHead head;
  ExchangeId id;
  ClientConfig config = [] {
    ClientConfig out;
    out.write_stall_timeout = milliseconds(200);
    return out;
  }();
  ClientStream stream{owner, wheel, config};
};

TEST_F(ClientStreamTest, TheHeadWaitsForTheFirstBodyBytes) {
  stream.send_head("HEAD\r\n\r\n", {ClientFraming::Kind::length, 4}, true);
  EXPECT_EQ(receive(), "");
  EXPECT_EQ(stream.write("body"), Flow::open);
  EXPECT_EQ(receive(), "HEAD\r\n\r\nbody");
  stream.finish();
  EXPECT_EQ(owner.sent, 1);
  EXPECT_EQ(stream.body_bytes_sent(), 4U);
}

TEST_F(ClientStreamTest, FramesChunksAndEndsThem) {
  stream.send_head("HEAD\r\n\r\n", {ClientFraming::Kind::chunked, 0}, true);
  EXPECT_EQ(stream.write("0123456789abcdef"), Flow::open);
  stream.finish();
  EXPECT_EQ(receive(), "HEAD\r\n\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n");
}

TEST_F(ClientStreamTest, AnEmptyChunkedBodyIsHeadAndLastChunk) {
  stream.send_head("HEAD\r\n\r\n", {ClientFraming::Kind::chunked, 0}, true);
  stream.finish();
  EXPECT_EQ(receive(), "HEAD\r\n\r\n0\r\n\r\n");
}

TEST_F(ClientStreamTest, ABufferOfSeveralExtentsIsOneChunk) {
  const Buffer body(evbuffer_new());
  evbuffer_add_reference(body.get(), "abc", 3, nullptr, nullptr);
  evbuffer_add_reference(body.get(), "def", 3, nullptr, nullptr);
  stream.send_head("H", {ClientFraming::Kind::chunked, 0}, true);
  EXPECT_EQ(stream.write(body.get()), Flow::open);
  EXPECT_EQ(receive(), "H6\r\nabcdef\r\n");
  EXPECT_EQ(evbuffer_get_length(body.get()), 0U);
}

TEST_F(ClientStreamTest, BytesThatTheSocketDoesNotTakeAreQueuedInOrder) {
  const std::string body(100'000, 'x');
  stream.send_head("H", {ClientFraming::Kind::length, body.size() + 1}, true);
  EXPECT_EQ(stream.write(body), Flow::full);
  EXPECT_EQ(stream.write("y"), Flow::full);  // waits behind the queued bytes
  std::string got;
  run_until([&] {
    got += receive();
    return observer.drained == 1;
  });
  got += receive();
  EXPECT_EQ(got, "H" + body + "y");
  stream.finish();
  EXPECT_EQ(owner.sent, 1);
}

TEST_F(ClientStreamTest, FinishWaitsForTheQueue) {
  const std::string body(100'000, 'x');
  stream.send_head("H", {ClientFraming::Kind::length, body.size()}, true);
  EXPECT_EQ(stream.write(body), Flow::full);
  stream.finish();
  EXPECT_EQ(owner.sent, 0);
  run_until([&] {
    receive();
    return owner.sent == 1;
  });
  EXPECT_EQ(observer.drained, 0);
}

TEST_F(ClientStreamTest, AClientThatTakesNothingOfTheQueueIsStalled) {
  stream.send_head("H", {ClientFraming::Kind::length, 100'000}, true);
  EXPECT_EQ(stream.write(std::string(100'000, 'x')), Flow::full);
  run_until([&] { return !observer.gone.empty(); });
  EXPECT_EQ(observer.gone, std::vector{Reason::client_stalled});
  EXPECT_EQ(owner.broken, 1);
}

TEST_F(ClientStreamTest, WritingToAClientThatLeftReturnsGone) {
  theirs.reset();
  stream.send_head("H", {ClientFraming::Kind::length, 4}, true);
  EXPECT_EQ(stream.write("body"), Flow::gone);
  stream.abort();
  EXPECT_EQ(owner.broken, 1);
  EXPECT_TRUE(observer.gone.empty());
}

TEST_F(ClientStreamTest, TheLossOfTheClientIsReportedOnce) {
  stream.lose(Reason::client_gone);
  stream.lose(Reason::client_gone);
  EXPECT_EQ(observer.gone, std::vector{Reason::client_gone});
}

TEST_F(ClientStreamTest, BodyBytesOfAResponseWithoutBodyAreDropped) {
  stream.send_head("H", {ClientFraming::Kind::none, 0}, true);
  EXPECT_EQ(stream.write("body"), Flow::open);
  stream.finish();
  EXPECT_EQ(receive(), "H");
  EXPECT_EQ(stream.body_bytes_sent(), 0U);
}

TEST_F(ClientStreamTest, AClientThatTakesNothingOfARelayIsStalled) {
  stream.send_head("H", {ClientFraming::Kind::until_close, 0}, false);
  for (size_t room = stream.room(); room > 0; room = stream.room()) {
    ASSERT_EQ(stream.write(std::string(room, 'x')), Flow::open);
  }
  run_until([&] { return !observer.gone.empty(); });
  EXPECT_EQ(observer.gone, std::vector{Reason::client_stalled});
  EXPECT_EQ(owner.broken, 1);
}

TEST_F(ClientStreamTest, AClientThatReadsSlowlyIsNotStalled) {
  constexpr milliseconds kStall(500);
  config.write_stall_timeout = kStall;
  ClientStream slow(owner, wheel, config);
  slow.attach(base.get(), *socket, {});
  slow.begin(head, id, &observer);
  slow.send_head("H", {ClientFraming::Kind::until_close, 0}, false);
  const int64_t until = wheel.now_ms() + 3 * kStall.count();
  int64_t read_at = 0;
  while (wheel.now_ms() < until) {
    for (size_t room = slow.room(); room > 0; room = slow.room()) {
      ASSERT_EQ(slow.write(std::string(room, 'x')), Flow::open);
    }
    event_base_loop(base.get(),
                    EVLOOP_ONCE);  // returns at the next tick of the wheel at the latest
    if (wheel.now_ms() - read_at < 50) continue;
    read_at = wheel.now_ms();
    receive();
  }
  EXPECT_TRUE(observer.gone.empty());
  EXPECT_GT(observer.drained, 0);
}

TEST_F(ClientStreamTest, AClientBelowTheMinimumRateIsTooSlow) {
  config.min_rate = 1'000'000;
  config.min_rate_window = milliseconds(400);
  config.write_stall_timeout = milliseconds(10'000);
  ClientStream slow(owner, wheel, config);
  slow.attach(base.get(), *socket, {});
  slow.begin(head, id, &observer);
  const std::string body(10'000'000, 'x');
  slow.send_head("H", {ClientFraming::Kind::length, body.size()}, true);
  EXPECT_EQ(slow.write(body), Flow::full);
  int64_t read_at = 0;
  run_until([&] {
    if (wheel.now_ms() - read_at >= 50) {
      read_at = wheel.now_ms();
      receive();  // 8 KiB or so: 160 KB per second
    }
    return !observer.gone.empty();
  });
  EXPECT_EQ(observer.gone, std::vector{Reason::client_too_slow});
  EXPECT_EQ(owner.broken, 1);
}

TEST_F(ClientStreamTest, TimeWithoutWaitingBytesDoesNotCount) {
  config.min_rate = 1'000'000;
  config.min_rate_window = milliseconds(200);
  ClientStream idle(owner, wheel, config);
  idle.attach(base.get(), *socket, {});
  idle.begin(head, id, &observer);
  idle.send_head("H", {ClientFraming::Kind::length, 100}, true);
  EXPECT_EQ(idle.write("body"), Flow::open);
  const int64_t end = wheel.now_ms() + 600;
  run_until([&] { return wheel.now_ms() >= end; });
  EXPECT_TRUE(observer.gone.empty());
}

TEST_F(ClientStreamTest, TheSocketTakesAsManyBytesAsItsRoom) {
  size_t taken = 0;
  stream.send_head("H", {ClientFraming::Kind::until_close, 0}, false);
  for (size_t room = stream.room(); room > 0; room = stream.room()) {
    const std::string bytes(std::min<size_t>(room, 1000), 'x');
    ASSERT_EQ(stream.write(bytes), Flow::open);
    taken += bytes.size();
  }
  EXPECT_GT(taken, 0U);
  EXPECT_TRUE(stream.is_full());
  settle();
  EXPECT_EQ(observer.drained, 0);
  run_until([&] {
    receive();
    return observer.drained == 1;
  });
  EXPECT_GT(stream.room(), 0U);
}

// A pipe that holds a body. A lost or repeated piece changes the body.
struct FilledPipe {
  explicit FilledPipe(size_t size) : body(size, '\0') {
    for (size_t i = 0; i < size; ++i) body[i] = static_cast<char>('a' + i % 23);
    int fds[2];
    EXPECT_EQ(::pipe2(fds, O_NONBLOCK), 0);
    read_end.reset(fds[0]);
    write_end.reset(fds[1]);
    EXPECT_EQ(::write(fds[1], body.data(), size), static_cast<ssize_t>(size));
  }

  std::string body;
  UniqueFd read_end;
  UniqueFd write_end;
};

TEST_F(ClientStreamTest, SplicedBytesFollowTheHeadInOrder) {
  // A Unix socket with a small buffer may take the content of one pipe, but not of two.
  const std::array<FilledPipe, 2> pipes{FilledPipe(60'000), FilledPipe(60'000)};
  stream.send_head("H", {ClientFraming::Kind::length, 120'000}, true);
  ASSERT_TRUE(stream.can_splice());
  size_t sent = 0;
  std::string got;
  int waits = 0;
  for (const FilledPipe& pipe : pipes) {
    size_t left = pipe.body.size();
    while (left > 0) {
      const ClientStream::Taken taken = stream.splice_from(pipe.read_end.get(), left);
      left -= taken.bytes;
      sent += taken.bytes;
      EXPECT_EQ(taken.flow, left == 0 ? Flow::open : Flow::full);
      EXPECT_EQ(stream.body_bytes_sent(), sent);
      if (left == 0) break;
      EXPECT_FALSE(stream.can_splice());
      EXPECT_EQ(stream.splice_from(pipe.read_end.get(), left).bytes,
                0U);  // not before on_client_drained()
      const int drained = observer.drained;
      run_until([&] {
        got += receive();
        return observer.drained > drained;
      });
      ++waits;
    }
  }
  got += receive();
  EXPECT_GT(waits, 0);
  EXPECT_EQ(got, "H" + pipes[0].body + pipes[1].body);
  stream.finish();
  EXPECT_EQ(owner.sent, 1);
}

TEST_F(ClientStreamTest, BytesOfAFileFollowTheHeadInOrder) {
  const UniqueFd file(::memfd_create("body", MFD_CLOEXEC));
  std::string text;
  while (text.size() < 200'000) text += std::to_string(text.size()) + ' ';
  ASSERT_EQ(::write(file.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  constexpr size_t kFirst = 5'001;
  const size_t size = text.size() - kFirst;
  stream.send_head("H", {ClientFraming::Kind::length, size}, true);
  size_t sent = 0;
  std::string got;
  while (sent < size) {
    const ClientStream::Taken taken = stream.send_file(file.get(), kFirst + sent, size - sent);
    sent += taken.bytes;
    EXPECT_EQ(taken.flow, sent == size ? Flow::open : Flow::full);
    EXPECT_EQ(stream.body_bytes_sent(), sent);
    if (sent == size) break;
    const int drained = observer.drained;
    run_until([&] {
      got += receive();
      return observer.drained > drained;
    });
  }
  got += receive();
  EXPECT_GT(observer.drained, 0);
  EXPECT_EQ(got, "H" + text.substr(kFirst));
}

TEST_F(ClientStreamTest, AHeadThatTheSocketDoesNotTakeIsQueuedBeforeTheBody) {
  const FilledPipe pipe(4);
  const std::string head_text(100'000, 'h');
  stream.send_head(head_text, {ClientFraming::Kind::length, 4}, true);
  const ClientStream::Taken taken = stream.splice_from(pipe.read_end.get(), 4);
  EXPECT_EQ(taken.flow, Flow::full);
  EXPECT_EQ(taken.bytes, 0U);
  EXPECT_EQ(stream.body_bytes_sent(), 0U);
  std::string got;
  run_until([&] {
    got += receive();
    return observer.drained == 1;
  });
  EXPECT_EQ(stream.splice_from(pipe.read_end.get(), 4).bytes, 4U);
  got += receive();
  EXPECT_EQ(got, head_text + pipe.body);
}

TEST_F(ClientStreamTest, AChunkedBodyCannotBeSpliced) {
  stream.send_head("H", {ClientFraming::Kind::chunked, 0}, true);
  EXPECT_FALSE(stream.can_splice());
}

}  // namespace
}  // namespace streamgate
