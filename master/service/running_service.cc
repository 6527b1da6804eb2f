#include "master/service/running_service.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

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

// With the error number EACCES: `path` exists or may exist, and this user may not read it.
bool is_forbidden(const std::string& path) {
  return ::faccessat(AT_FDCWD, path.c_str(), R_OK, AT_EACCESS) != 0 && errno == EACCES;
}

std::string stat_path(const std::string& process) { return "/proc/" + process + "/stat"; }

// /proc may be mounted with `hidepid`: other users' processes are not in it.
bool is_hidden(pid_t pid) {
  const auto is_visible = [](const std::string& process) {
    return ::access(stat_path(process).c_str(), R_OK) == 0;
  };
  return is_visible("self") && !is_visible(std::to_string(pid));
}

NoService not_running(const std::string& why) {
  return {NoService::Kind::not_running, "not running: " + why};
}

NoService unknown(const std::string& why) {
  return {NoService::Kind::unknown, "cannot find out whether the service runs: " + why +
                                        "; only root and the service's user may"};
}

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

std::variant<RunningService, NoService> RunningService::find(const std::string& pid_file) {
  for (const std::string& path : {pid_file, status_path(pid_file)}) {
    if (is_forbidden(path)) return unknown("this user may not read " + path);
  }
  const auto text = read_file(pid_file, kMaxSmallFileBytes);
  if (!text) return not_running("cannot read " + text.error().detail);
  const auto pid = pid_in(*text);
  if (!pid) return not_running(pid_file + " is not a pid file");
  UniqueFd process(::pidfd_open(*pid, 0));
  const bool is_ours = is_the_service(*pid, pid_file);
  RunningService service(*pid, std::move(process), pid_file);
  const bool is_alive = service.process_.valid() && !service.has_left(0);
  if (is_alive && is_ours) return service;
  const std::string name = std::to_string(*pid);
  if (is_alive && is_hidden(*pid)) return unknown("this user may not see process " + name);
  return not_running(pid_file + " is left over from process " + name);
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
  const auto found = RunningService::find(pid_file);
  const auto* const service = std::get_if<RunningService>(&found);
  if (!service || service->pid() == ::getpid()) return std::nullopt;
  // Only its status file proves that it is a service: another process may have our name.
  const auto state = status_value(service->status(), "master", "state");
  if (!state || *state == "stopping") return std::nullopt;
  return service->pid();
}

}  // namespace streamgate
