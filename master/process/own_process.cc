#include "master/process/own_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/system_error.h"
#include "master/process/child_process.h"

namespace streamgate {

void open_standard_descriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", O_RDWR) < 0) return;
  }
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

Result<UniqueFd> watch_signals() {
  const sigset_t signals = master_signals();
  // A signal that the parent process ignored (nohup) would never reach the signalfd.
  restore_default_handlers();
  // SIG_SETMASK: before an upgrade the previous program has blocked every signal.
  ::sigprocmask(SIG_SETMASK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);  // a write to a closed pipe fails with EPIPE instead
  UniqueFd out(::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
  if (out.valid()) return out;
  return system_error("signalfd");
}

signalfd_siginfo wait_for_signal(const UniqueFd& signal_fd, int limit_ms) {
  signalfd_siginfo info{};
  pollfd waiting{signal_fd.get(), POLLIN, 0};
  if (::poll(&waiting, 1, limit_ms) <= 0) return info;
  if (::read(signal_fd.get(), &info, sizeof info) != sizeof info) return {};
  return info;
}

}  // namespace streamgate
