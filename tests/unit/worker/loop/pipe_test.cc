#include "worker/loop/pipe.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

#include "worker/loop/event.h"

namespace streamgate {
namespace {

constexpr size_t kKiB = 1024;

class PipeTest : public testing::Test {
 protected:
  PipeTest() {
    int ends[2];
    EXPECT_EQ(0, ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends));
    sender = UniqueFd(ends[0]);
    receiver = UniqueFd(ends[1]);
    workers[0].generation = 1;
  }

  void send(std::string_view bytes) {
    ASSERT_EQ(static_cast<ssize_t>(bytes.size()),
              ::send(sender.get(), bytes.data(), bytes.size(), 0));
  }
  static std::string empty(Pipe& pipe) {
    std::string out(pipe.bytes(), '\0');
    EXPECT_EQ(static_cast<ssize_t>(out.size()), ::read(pipe.read_end(), out.data(), out.size()));
    pipe.taken(out.size());
    return out;
  }

  EventBase base{event_base_new()};
  TimerWheel wheel{base.get()};
  std::array<Assignment, 4> workers;
  UniqueFd sender;
  UniqueFd receiver;
};

TEST_F(PipeTest, IsFilledFromASocket) {
  const auto pipe = Pipe::make(64 * kKiB);
  ASSERT_TRUE(pipe);
  EXPECT_EQ(Pipe::Filled::drained, pipe->fill_from(receiver.get(), kKiB));
  send("hello world");
  EXPECT_EQ(Pipe::Filled::some, pipe->fill_from(receiver.get(), 5));
  EXPECT_EQ("hello", empty(*pipe));
  EXPECT_EQ(Pipe::Filled::some, pipe->fill_from(receiver.get(), kKiB));
  EXPECT_EQ(" world", empty(*pipe));
  sender.reset();
  EXPECT_EQ(Pipe::Filled::closed, pipe->fill_from(receiver.get(), kKiB));
}

TEST_F(PipeTest, AnEmptyPipeIsReused) {
  PipePool pool(wheel, workers, {1024 * kKiB, 64 * kKiB});
  const Pipe* first = nullptr;
  {
    const PipeLoan loan = pool.borrow();
    first = loan.get();
    ASSERT_NE(nullptr, first);
  }
  EXPECT_EQ(first, pool.borrow().get());
  EXPECT_EQ(1U, pool.made());
}

TEST_F(PipeTest, APipeThatIsGivenBackWithBytesIsClosed) {
  PipePool pool(wheel, workers, {1024 * kKiB, 64 * kKiB});
  {
    const PipeLoan loan = pool.borrow();
    send("of a stream that was cut");
    loan->fill_from(receiver.get(), kKiB);
  }
  EXPECT_EQ(0U, pool.made());
  EXPECT_EQ(0U, pool.borrow()->bytes());
}

TEST_F(PipeTest, APoolMakesNoMoreThanItsWorkersShare) {
  PipePool pool(wheel, workers, {4 * 64 * kKiB, 64 * kKiB});
  workers[1].generation = 2;
  std::vector<PipeLoan> loans;
  loans.push_back(pool.borrow());
  loans.push_back(pool.borrow());
  EXPECT_TRUE(loans[0] && loans[1]);
  EXPECT_FALSE(pool.borrow());
  loans.clear();
  EXPECT_TRUE(pool.borrow());
}

TEST_F(PipeTest, ASmallShareMakesSmallerPipes) {
  PipePool plenty(wheel, workers, {size_t{64} * 1024 * kKiB, 512 * kKiB});
  EXPECT_EQ(512 * kKiB, plenty.borrow()->capacity());
  PipePool little(wheel, workers, {512 * kKiB, 512 * kKiB});
  EXPECT_EQ(128 * kKiB, little.borrow()->capacity());
}

TEST_F(PipeTest, AfterAFailureThePoolWaitsASecond) {
  PipePool pool(wheel, workers, {1024 * kKiB, 64 * kKiB});
  rlimit before{};
  ASSERT_EQ(0, ::getrlimit(RLIMIT_NOFILE, &before));
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(0, ::setrlimit(RLIMIT_NOFILE, &none));
  EXPECT_FALSE(pool.borrow());
  ASSERT_EQ(0, ::setrlimit(RLIMIT_NOFILE, &before));
  EXPECT_FALSE(pool.borrow());
}

TEST_F(PipeTest, TheSystemsLimitsAllowOnePipeAtLeast) {
  const PipePool::Limits limits = PipePool::system_limits();
  EXPECT_GE(limits.largest, 64 * kKiB);
  EXPECT_GE(limits.all_bytes, 64 * kKiB);
}

}  // namespace
}  // namespace streamgate
