// Tests the size of the receive buffer of an upstream connection.
#include "worker/upstream/receive_window.h"

#include <gtest/gtest.h>
#include <linux/socket.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <limits>

#include "common/unique_fd.h"

namespace streamgate {
namespace {

constexpr uint64_t kUntilClose = std::numeric_limits<uint64_t>::max();
constexpr uint64_t kChunked = 0;
constexpr int64_t kBegin = 1'000;
constexpr int kRoundedUp = 16 * 1024;  // by the kernel

class ReceiveWindowTest : public testing::Test {
 protected:
  void SetUp() override {
    const UniqueFd listener(::socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const where = reinterpret_cast<sockaddr*>(&address);
    ASSERT_EQ(::bind(listener.get(), where, size), 0);
    ASSERT_EQ(::listen(listener.get(), 1), 0);
    ASSERT_EQ(::getsockname(listener.get(), where, &size), 0);
    socket.reset(::socket(AF_INET, SOCK_STREAM, 0));
    ASSERT_EQ(::connect(socket.get(), where, size), 0);
    upstream.reset(::accept(listener.get(), nullptr, nullptr));
    if (option(SO_BUF_LOCK) < 0) GTEST_SKIP() << "SO_BUF_LOCK exists since Linux 5.15";
  }

  int option(int name) const {
    int value = -1;
    socklen_t size = sizeof value;
    ::getsockopt(socket.get(), SOL_SOCKET, name, &value, &size);
    return value;
  }
  bool is_held() const { return (option(SO_BUF_LOCK) & SOCK_RCVBUF_LOCK) != 0; }
  void begin(uint64_t left) { window.begin_body(socket.get(), left, kBegin); }
  // The bytes come in two halves, `time_ms` after the beginning of the body.
  void receive(size_t bytes, int64_t time_ms) {
    window.received(socket.get(), bytes / 2, kBegin + time_ms / 2);
    window.received(socket.get(), bytes - bytes / 2, kBegin + time_ms);
  }

  UniqueFd socket;
  UniqueFd upstream;
  ReceiveWindow window;
};

TEST_F(ReceiveWindowTest, ABodyThatTheBufferCouldHoldDoesNotHoldIt) {
  begin(uint64_t{ReceiveWindow::kMaxBytes});
  EXPECT_FALSE(is_held());
  begin(uint64_t{ReceiveWindow::kMaxBytes} + 1);
  EXPECT_TRUE(is_held());
}

TEST_F(ReceiveWindowTest, ABodyOfUnknownLengthHoldsTheBuffer) {
  begin(kChunked);
  EXPECT_TRUE(is_held());
  EXPECT_LE(option(SO_RCVBUF), ReceiveWindow::kMaxBytes);
}

TEST_F(ReceiveWindowTest, ASlowBodyHoldsTheBuffer) {
  begin(kUntilClose);
  const int slow = option(SO_RCVBUF);
  receive(ReceiveWindow::kFastBytes, ReceiveWindow::kFastMs + 1);
  receive(ReceiveWindow::kFastBytes, 3 * ReceiveWindow::kFastMs);
  EXPECT_TRUE(is_held());
  EXPECT_EQ(option(SO_RCVBUF), slow);
}

TEST_F(ReceiveWindowTest, AFastBodyHasALargerBufferThatIsHeldToo) {
  begin(kUntilClose);
  const int slow = option(SO_RCVBUF);
  receive(ReceiveWindow::kFastBytes - 1, ReceiveWindow::kFastMs / 2);
  EXPECT_EQ(option(SO_RCVBUF), slow);
  receive(1, ReceiveWindow::kFastMs);
  EXPECT_GT(option(SO_RCVBUF), 2 * slow);
  EXPECT_LE(option(SO_RCVBUF), ReceiveWindow::kMaxBytes + kRoundedUp);
  EXPECT_TRUE(is_held());
  EXPECT_EQ(option(SO_RCVLOWAT), 1);
}

TEST_F(ReceiveWindowTest, AFastBodyThatBecomesSlowHasTheSmallBufferAgain) {
  begin(kUntilClose);
  const int slow = option(SO_RCVBUF);
  receive(ReceiveWindow::kFastBytes, ReceiveWindow::kFastMs);
  const int fast = option(SO_RCVBUF);
  receive(ReceiveWindow::kFastBytes, 3 * ReceiveWindow::kFastMs);
  EXPECT_EQ(option(SO_RCVBUF), fast);
  receive(ReceiveWindow::kFastBytes, 6 * ReceiveWindow::kFastMs);
  EXPECT_EQ(option(SO_RCVBUF), slow);
  EXPECT_TRUE(is_held());
}

// A segment that is shorter than kFastBytes counts, and the time between two segments does not.
TEST_F(ReceiveWindowTest, BodiesOfOneConnectionAreCountedTogether) {
  begin(kUntilClose);
  const int slow = option(SO_RCVBUF);
  window.received(socket.get(), ReceiveWindow::kFastBytes / 2, kBegin + 50);
  window.begin_body(socket.get(), kUntilClose, kBegin + 5'000);
  window.received(socket.get(), ReceiveWindow::kFastBytes / 2, kBegin + 5'050);
  EXPECT_GT(option(SO_RCVBUF), slow);
}

}  // namespace
}  // namespace streamgate
