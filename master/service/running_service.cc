#include "master/service/running_service.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "common/clock.h"
#include "common/file.h"
#include "common/scoreboard.h"
#include "master/service/files.h"

extern "C" {  // missing in the header of glibc 2.36
#include <sys/pidfd.h>
}

namespace streamgate {
namespace {

constexpr int kPollMs = 20;

// A pid file outlives a killed master, and another process may have the id by now. The status file
// holds the start time of the master. Without a status file the process must have our name.
bool is_the_service(pid_t pid, const std::string& pid_file) {
  const auto status = read_file(status_path(pid_file), kMaxSmallFileBytes);
  const auto written = status ? status_value(*status, "master", "start_ticks") : std::nullopt;
  if (written && status_value(*status, "master", "pid") == std::to_string(pid)) {
    return *written == std::to_string(start_ticks_of(pid));
  }
  const auto name = read_file("/proc/" + std::to_string(pid) + "/comm", kMaxSmallFileBytes);
  const auto own_name = read_file("/proc/self/comm", kMaxSmallFileBytes);
  return name && own_name && *name == *own_name;
}

}  // namespace

Result<RunningService> RunningService::find(const std::string& pid_file) {
  const auto text = read_file(pid_file, kMaxSmallFileBytes);
  if (!text) return Error{Reason::internal, "not running: cannot read " + text.error().detail};
  const auto pid = pid_in(*text);
  if (!pid) return Error{Reason::internal, pid_file + ": is not a pid file"};
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
  auto text = read_file(status_path(pid_file_), kMaxSmallFileBytes);
  if (!text || !is_whole_status(*text)) return {};
  if (status_value(*text, "master", "pid") != std::to_string(pid_)) return {};
  return *std::move(text);
}

bool RunningService::has_written_since(int64_t time_us) const {
  const auto written = status_value(status(), "master", "written_us");
  return written && std::strtoll(written->c_str(), nullptr, 10) >= time_us;
}

std::optional<Outcome> RunningService::await(
    int64_t limit_ms, const std::function<std::optional<Outcome>()>& answer) const {
  const int64_t end = monotonic_ms() + limit_ms;
  while (true) {
    if (auto outcome = answer()) return outcome;
    if (monotonic_ms() >= end || has_left(kPollMs)) return answer();
  }
}

std::optional<pid_t> serving_master(const std::string& pid_file) {
  if (pid_file.empty()) return std::nullopt;
  const auto service = RunningService::find(pid_file);
  if (!service || service->pid() == ::getpid()) return std::nullopt;
  // Only its status file proves that it is a service: another process may have our name.
  const auto state = status_value(service->status(), "master", "state");
  if (!state || *state == "stopping") return std::nullopt;
  return service->pid();
}

}  // namespace streamgate
