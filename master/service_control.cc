#include "master/service_control.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <optional>
#include <utility>

#include "common/scoreboard.h"
#include "common/unique_fd.h"
#include "master/service_files.h"
#include "master/status_report.h"
#include "master/supervisor_limits.h"

extern "C" {  // glibc 2.36 has forgotten to say so
#include <sys/pidfd.h>
}

namespace streamgate {
namespace {

constexpr int kLookMs = 20;
// A reload that runs already ends first; then ours has its trial, its check, its start, and some
// time to spare.
constexpr int64_t kReloadLimitMs = 2 * (kTrialLimitMs + kProbeLimitMs + kReadyLimitMs) + 5'000;
constexpr int64_t kAnswerLimitMs = 5'000;  // of a master that only has to write something
constexpr int64_t kLeaveLimitMs = 15'000;  // from the end of the drain to the end of the master

int complain(const std::string& what, int exit_code = kExitOrderFailed) {
  std::fprintf(stderr, "streamgate: %s\n", what.c_str());
  return exit_code;
}

class RunningService {
 public:
  // The service that the pid file names; an error if it does not run.
  static Result<RunningService> find(const std::string& pid_file);

  pid_t pid() const { return pid_; }

  // An error if that is not allowed.
  Result<void> send(int signal_number, int value) const;
  // Looks until `answer` has something, the service has left, or `limit_ms` are over.
  std::optional<Outcome> await(int64_t limit_ms,
                               const std::function<std::optional<Outcome>()>& answer) const;
  bool has_left(int wait_ms) const;
  // The status file if this service has written it, else empty.
  std::string status() const;

 private:
  RunningService(pid_t pid, UniqueFd process, std::string pid_file)
      : pid_(pid), process_(std::move(process)), pid_file_(std::move(pid_file)) {}

  pid_t pid_;
  UniqueFd process_;  // keeps the id from meaning another process
  std::string pid_file_;
};

// What a pid file says; none for what no process can be called.
std::optional<pid_t> pid_in(const std::string& text) {
  pid_t pid = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), pid);
  const bool is_all = read.ptr == text.data() + text.size() || *read.ptr == '\n';
  if (read.ec != std::errc() || !is_all || pid < 1) return std::nullopt;
  return pid;
}

// A pid file outlives a killed master, and the number may be somebody else's by now. The status
// file tells when the master was started; without one, a process of our name has to do.
bool is_the_service(pid_t pid, const std::string& pid_file) {
  const auto status = read_small_file(status_path(pid_file));
  const auto written = status ? status_value(*status, "master", "start_ticks") : std::nullopt;
  if (written && status_value(*status, "master", "pid") == std::to_string(pid)) {
    return *written == std::to_string(start_ticks_of(pid));
  }
  const auto name = read_small_file("/proc/" + std::to_string(pid) + "/comm");
  const auto own_name = read_small_file("/proc/self/comm");
  return name && own_name && *name == *own_name;
}

Result<RunningService> RunningService::find(const std::string& pid_file) {
  const auto text = read_small_file(pid_file);
  if (!text) return Error{Reason::internal, "not running: " + text.error().detail};
  const auto pid = pid_in(*text);
  if (!pid) return Error{Reason::internal, pid_file + ": is no pid file"};
  UniqueFd process(::pidfd_open(*pid, 0));
  const bool is_ours = is_the_service(*pid, pid_file);
  RunningService service(*pid, std::move(process), pid_file);
  if (!service.process_.valid() || !is_ours || service.has_left(0)) {
    return Error{Reason::internal,
                 "not running: " + pid_file + " is left over from process " + std::to_string(*pid)};
  }
  return service;
}

Result<void> RunningService::send(int signal_number, int value) const {
  siginfo_t info{};
  info.si_signo = signal_number;
  info.si_code = SI_QUEUE;
  info.si_pid = ::getpid();
  info.si_uid = ::getuid();
  info.si_value.sival_int = value;
  if (::pidfd_send_signal(process_.get(), signal_number, &info, 0) == 0) return {};
  return Error{Reason::internal, "cannot signal process " + std::to_string(pid_) + ": " +
                                     std::strerror(errno) +
                                     (errno == EPERM ? " (only root and its user may)" : "")};
}

bool RunningService::has_left(int wait_ms) const {
  pollfd end{process_.get(), POLLIN, 0};
  return ::poll(&end, 1, wait_ms) > 0;
}

std::string RunningService::status() const {
  auto text = read_small_file(status_path(pid_file_));
  if (!text || status_value(*text, "master", "pid") != std::to_string(pid_)) return {};
  return *std::move(text);
}

std::optional<Outcome> RunningService::await(
    int64_t limit_ms, const std::function<std::optional<Outcome>()>& answer) const {
  const int64_t end = monotonic_ms() + limit_ms;
  while (true) {
    if (auto outcome = answer()) return outcome;
    if (monotonic_ms() >= end || has_left(kLookMs)) return answer();
  }
}

std::string not_answered(const RunningService& service) {
  if (service.has_left(0)) return "the service has left before it was done";
  const auto held = status_value(service.status(), "held", "reason");
  return held ? "has not begun: " + *held : "the service has not answered in time";
}

// `reload` and `reopen`: the outcome of what the master began after it was told to.
int order_and_wait(const RunningService& service, int signal_number, const std::string& line,
                   int64_t limit_ms) {
  const int64_t sent_us = monotonic_us();
  if (const auto sent = service.send(signal_number, 0); !sent) {
    return complain(sent.error().detail);
  }
  const auto outcome = service.await(limit_ms, [&]() -> std::optional<Outcome> {
    Outcome latest = status_outcome(service.status(), line);
    if (latest.sequence == 0 || latest.started_us < sent_us) return std::nullopt;
    return latest;
  });
  if (!outcome) return complain(line + ": " + not_answered(service));
  const std::string name = line + " " + std::to_string(outcome->sequence);
  if (!outcome->problem.empty()) return complain(name + " failed: " + outcome->problem);
  std::printf("%s: ok\n", name.c_str());
  return EXIT_SUCCESS;
}

int stop_and_wait(const RunningService& service, int signal_number, Milliseconds drain) {
  if (const auto sent = service.send(signal_number, 0); !sent) {
    return complain(sent.error().detail);
  }
  const int64_t end = monotonic_ms() + drain.count() + kLeaveLimitMs;
  while (monotonic_ms() < end) {
    if (!service.has_left(kLookMs)) continue;
    std::puts("stopped");
    return EXIT_SUCCESS;
  }
  return complain(
      "the service takes no more clients and goes on until its streams have ended; "
      "`-s stop` ends them");
}

int show_status(const RunningService& service) {
  const int64_t sent_us = monotonic_us();
  // Whoever may read the file but not signal the master sees what was written last.
  const bool asked = static_cast<bool>(service.send(SIGUSR2, kWriteStatusOnly));
  const auto fresh = service.await(asked ? kAnswerLimitMs : 0, [&]() -> std::optional<Outcome> {
    const auto written = status_value(service.status(), "master", "written_us");
    if (!written || std::strtoll(written->c_str(), nullptr, 10) < sent_us) return std::nullopt;
    return Outcome{};
  });
  const std::string text = service.status();
  if (text.empty()) return complain("status: " + not_answered(service));
  std::fputs(text.c_str(), stdout);
  if (asked && !fresh) {
    return complain("status: the service has not answered; this is what it wrote before");
  }
  return EXIT_SUCCESS;
}

}  // namespace

std::optional<pid_t> serving_master(const std::string& pid_file) {
  if (pid_file.empty()) return std::nullopt;
  const auto service = RunningService::find(pid_file);
  if (!service || service->pid() == ::getpid()) return std::nullopt;
  // Its own words are needed: a name alone is no proof.
  const auto state = status_value(service->status(), "master", "state");
  if (!state || *state == "stopping") return std::nullopt;
  return service->pid();
}

int control_service(ServiceOrder order, const LoadedConfig& loaded) {
  const Config& config = loaded.config;
  if (config.pid_file.empty()) {
    // Perhaps it is only that the file cannot be read.
    for (const std::string& problem : loaded.problems) complain(problem);
    if (!loaded.ok()) {
      return complain(
          "-s finds the service by `pid_file`, and it could not be read; "
          "mend the file, or signal the process");
    }
    return complain("-s finds the service by its pid file: `pid_file` has to be set");
  }
  const auto service = RunningService::find(config.pid_file);
  if (!service) return complain(service.error().detail, kExitNotRunning);
  switch (order) {
    case ServiceOrder::reload:
      return order_and_wait(*service, SIGHUP, "reload", kReloadLimitMs);
    case ServiceOrder::reopen:
      return order_and_wait(*service, SIGUSR1, "reopen", kAnswerLimitMs);
    case ServiceOrder::stop:
      return stop_and_wait(*service, SIGTERM, config.drain.stop_timeout);
    case ServiceOrder::quit:
      return stop_and_wait(*service, SIGQUIT,
                           std::max(config.drain.timeout, config.drain.stop_timeout));
    case ServiceOrder::status:
      return show_status(*service);
  }
  return kExitOrderFailed;
}

}  // namespace streamgate
