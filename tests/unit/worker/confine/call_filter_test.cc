// Tests which system calls a confined worker may make, each in a child process.
#include "worker/confine/call_filter.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <functional>

#include "tests/unit/worker/confine/in_child.h"

namespace streamgate {
namespace {

constexpr int kNoSeccomp = 77;

// errno of the call in a confined process; 0: it succeeded.
int error_of(const std::function<long()>& call) {
  return in_child([&] {
    if (!refuse_calls()) return kNoSeccomp;
    return call() < 0 ? errno : 0;
  });
}

class CallFilterTest : public testing::Test {
 protected:
  void SetUp() override {
    if (in_child([] { return refuse_calls() ? 0 : kNoSeccomp; }) == kNoSeccomp) {
      GTEST_SKIP() << "the kernel does not allow a filter";
    }
  }
};

TEST_F(CallFilterTest, NoProgramIsStarted) {
  char* const arguments[] = {nullptr};
  EXPECT_EQ(error_of([&] { return ::execve("/bin/true", arguments, arguments); }), EPERM);
  EXPECT_EQ(error_of([&] {
              return ::syscall(SYS_execveat, AT_FDCWD, "/bin/true", arguments, arguments, 0);
            }),
            EPERM);
}

TEST_F(CallFilterTest, NoProcessIsMade) {
  EXPECT_EQ(error_of([] { return ::fork(); }), EPERM);
  EXPECT_EQ(error_of([] { return ::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, 0); }),
            EPERM);
  EXPECT_EQ(error_of([] { return ::syscall(SYS_clone3, nullptr, 0); }), ENOSYS);
}

// Signal 0 only asks whether the process exists, so a broken filter ends no process.
TEST_F(CallFilterTest, NoOtherProcessIsReadOrSignalled) {
  const pid_t parent = ::getpid();
  EXPECT_EQ(error_of([&] { return ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr); }), EPERM);
  EXPECT_EQ(error_of([&] { return ::kill(parent, 0); }), EPERM);
  EXPECT_EQ(error_of([] { return ::kill(-1, 0); }), EPERM);
  EXPECT_EQ(error_of([&] { return ::syscall(SYS_tgkill, parent, parent, 0); }), EPERM);
  EXPECT_EQ(error_of([] { return ::kill(::getpid(), 0); }), 0);
}

TEST_F(CallFilterTest, RarelyUsedPartsOfTheKernelAreRefused) {
  bpf_attr attributes{};
  EXPECT_EQ(error_of([&] { return ::syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, 0); }), EPERM);
  EXPECT_EQ(error_of([] { return ::syscall(SYS_io_uring_setup, 1, nullptr); }), EPERM);
  EXPECT_EQ(error_of([] { return ::unshare(CLONE_NEWUSER); }), EPERM);
  EXPECT_EQ(error_of([] { return ::chroot("/"); }), EPERM);
}

TEST_F(CallFilterTest, SocketsHaveTheFamiliesOfAWorker) {
  for (const int family : {AF_PACKET, AF_ALG, AF_VSOCK, AF_APPLETALK}) {
    EXPECT_EQ(error_of([&] { return ::socket(family, SOCK_DGRAM, 0); }), EPERM) << family;
  }
  for (const int family : {AF_INET, AF_UNIX}) {
    EXPECT_EQ(error_of([&] { return ::socket(family, SOCK_STREAM, 0); }), 0) << family;
  }
  EXPECT_EQ(error_of([] { return ::socket(AF_NETLINK, SOCK_RAW, 0); }), 0);
}

TEST_F(CallFilterTest, AProcessMayAbort) {
  EXPECT_EQ(in_child([] {
              ::signal(SIGABRT, [](int) { ::_exit(42); });
              if (refuse_calls()) std::abort();
              return 0;
            }),
            42);
}

}  // namespace
}  // namespace streamgate
