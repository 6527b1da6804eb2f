#include "master/process/child_process.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "common/pipe_pair.h"
#include "common/system_error.h"

namespace streamgate {
namespace {

constexpr int kMasterSignals[] = {SIGHUP, SIGQUIT, SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGCHLD};
constexpr int kExitRefused = 1;
// Less than the capacity of a pipe, so that the child never waits for the reader.
constexpr size_t kMaxReportBytes = 4000;

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
  if (pid < 0) return system_error("fork");
  if (pid > 0) return pid;
  restore_default_handlers();
  std::exit(body());
}

Result<Probe> Probe::start(const std::function<Result<void>()>& body) {
  auto ends = make_pipe();
  if (!ends) return ends.error();
  UniqueFd report = std::move(ends->read_end);
  const UniqueFd answer = std::move(ends->write_end);
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
