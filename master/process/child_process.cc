#include "master/process/child_process.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace streamgate {
namespace {

constexpr int kMasterSignals[] = {SIGHUP, SIGQUIT, SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGCHLD};
constexpr int kExitRefused = 1;
// Less than the capacity of a pipe, so that the child never waits for the reader.
constexpr size_t kMaxReportBytes = 4000;

Error failed(const char* what) {
  return {Reason::internal, std::string(what) + ": " + std::strerror(errno)};
}

}  // namespace

sigset_t master_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : kMasterSignals) ::sigaddset(&set, number);
  return set;
}

void restore_default_handlers() {
  for (const int number : kMasterSignals) ::signal(number, SIG_DFL);
}

Result<pid_t> fork_child(const std::function<int()>& body) {
  std::fflush(nullptr);  // otherwise the child would write the buffered bytes a second time
  const pid_t pid = ::fork();
  if (pid < 0) return failed("fork");
  if (pid > 0) return pid;
  restore_default_handlers();
  std::exit(body());
}

Result<Probe> Probe::start(const std::function<Result<void>()>& body) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return failed("pipe");
  UniqueFd report(ends[0]);
  const UniqueFd answer(ends[1]);
  auto pid = fork_child([&] {
    const auto verdict = body();
    if (verdict) return EXIT_SUCCESS;
    const std::string& detail = verdict.error().detail;
    [[maybe_unused]] const ssize_t written =
        ::write(answer.get(), detail.data(), std::min(detail.size(), kMaxReportBytes));
    return kExitRefused;
  });
  if (!pid) return pid.error();
  return Probe(*pid, std::move(report));
}

Result<void> Probe::outcome(int wait_status) const {
  if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == EXIT_SUCCESS) return {};
  std::string detail(kMaxReportBytes, '\0');
  const ssize_t got = ::read(report_.get(), detail.data(), detail.size());
  detail.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
  if (detail.empty()) detail = "the check of the configuration died";
  return Error{Reason::internal, detail};
}

}  // namespace streamgate
