#include "master/service/control.h"

#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <variant>

#include "common/clock.h"
#include "common/log_sink.h"
#include "common/scoreboard.h"
#include "master/service/limits.h"
#include "master/service/report_file.h"
#include "master/service/status_report.h"

namespace streamgate {
namespace {

constexpr int kPollMs = 20;
// A reload in progress ends first. Then the ordered reload has its trial, its check and its start.
// 5 s are a reserve.
constexpr int64_t kReloadLimitMs = 2 * (kTrialLimitMs + kProbeLimitMs + kReadyLimitMs) + 5'000;
constexpr int64_t kAnswerLimitMs = 5'000;  // until the master has written a file
constexpr int64_t kLeaveLimitMs = 15'000;  // from the end of the drain to the end of the master

// The exit code must not wait for the reader of stderr.
int complain(const std::string& what, int exit_code = kExitOrderFailed) {
  LogSink::standard_error().write("streamgate: " + what + "\n");
  return exit_code;
}

std::string not_answered(const RunningService& service) {
  if (service.has_left(0)) return "the service has ended before it was done";
  const auto held = status_value(service.status(), "held", "reason");
  return held ? "has not begun: " + *held : "the service has not answered in time";
}

bool await_fresh_status(const RunningService& service, int64_t sent_us, int64_t limit_ms) {
  const auto fresh = service.await(limit_ms, [&]() -> std::optional<Outcome> {
    return service.has_written_since(sent_us) ? std::optional(Outcome{}) : std::nullopt;
  });
  return fresh.has_value();
}

// `reload` and `reopen`: waits for the outcome of a run that began after the signal.
int order_and_wait(const RunningService& service, int signal_number, const std::string& line,
                   int64_t limit_ms) {
  const int64_t sent_us = monotonic_us();
  if (const auto sent = service.send(signal_number, 0); !sent) {
    return complain(sent.error().detail);
  }
  // The master writes its status at once, whether or not the order succeeds.
  if (!await_fresh_status(service, sent_us, kAnswerLimitMs) && !service.has_left(0)) {
    return complain(line + ": the service has not written its status; its log has the outcome");
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
    if (!service.has_left(kPollMs)) continue;
    std::puts("stopped");
    return EXIT_SUCCESS;
  }
  return complain(
      "the service accepts no more clients and runs until its streams have ended; "
      "`-s stop` ends them");
}

int show_status(const RunningService& service) {
  const int64_t sent_us = monotonic_us();
  // A user who may read the file but not signal the master sees the last version.
  const bool asked = static_cast<bool>(service.send(SIGUSR2, kWriteStatusOnly));
  const bool fresh = await_fresh_status(service, sent_us, asked ? kAnswerLimitMs : 0);
  const std::string text = service.status();
  if (text.empty()) return complain("status: " + not_answered(service));
  std::fputs(text.c_str(), stdout);
  if (asked && !fresh) {
    return complain("status: the service has not answered; this is its last status");
  }
  return EXIT_SUCCESS;
}

// The master writes the report for this order.
int show_report(const RunningService& service, ReportKind report, const std::string& name) {
  const int64_t sent_us = monotonic_us();
  if (const auto sent = service.send(SIGUSR2, static_cast<int>(report)); !sent) {
    return complain(sent.error().detail);
  }
  std::optional<std::string> body;
  service.await(kAnswerLimitMs, [&]() -> std::optional<Outcome> {
    body = read_report(service.pid_file(), report, service.pid(), sent_us);
    return body ? std::optional(Outcome{}) : std::nullopt;
  });
  if (!body) return complain(name + ": " + not_answered(service));
  std::fputs(body->c_str(), stdout);
  return EXIT_SUCCESS;
}

}  // namespace

int control_service(ServiceOrder order, OutputForm form, const LoadedConfig& loaded) {
  const Config& config = loaded.config;
  if (config.pid_file.empty()) {
    // The pid file may be unknown only because the configuration cannot be read.
    for (const std::string& problem : loaded.problems) complain(problem);
    if (!loaded.ok()) {
      return complain(
          "-s finds the service by `pid_file`, which could not be read; "
          "correct the configuration, or name the file with --pid-file");
    }
    return complain(
        "-s finds the service by its pid file: name the configuration with -c FILE and set "
        "`pid_file` in it, or name the pid file with --pid-file");
  }
  const auto found = RunningService::find(config.pid_file);
  if (const auto* const none = std::get_if<NoService>(&found)) {
    return complain(none->detail, exit_code_of(*none));
  }
  const auto* const service = std::get_if<RunningService>(&found);
  switch (order) {
    case ServiceOrder::reload:
      return order_and_wait(*service, SIGHUP, "reload", kReloadLimitMs);
    case ServiceOrder::reopen:
      return order_and_wait(*service, SIGUSR1, "reopen", kAnswerLimitMs);
    case ServiceOrder::stop:
      return stop_and_wait(*service, SIGTERM, config.drain.ready_delay + config.drain.stop_timeout);
    case ServiceOrder::quit:
      return stop_and_wait(
          *service, SIGQUIT,
          config.drain.ready_delay + std::max(config.drain.timeout, config.drain.stop_timeout));
    case ServiceOrder::status:
      if (form == OutputForm::json) return show_report(*service, ReportKind::status_json, "status");
      return show_status(*service);
    case ServiceOrder::streams:
      return show_report(*service,
                         form == OutputForm::json ? ReportKind::streams_json : ReportKind::streams,
                         "streams");
  }
  return kExitOrderFailed;
}

}  // namespace streamgate
