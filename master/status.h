// Reports the state of the service: the status file for people and `streamgate -s`, the status line
// of the service manager, and the log. Everything is built from a const view. Runs in the master.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "master/service/files.h"
#include "master/service/generation.h"
#include "master/service/manager.h"
#include "master/service/report_file.h"
#include "master/service/status_report.h"
#include "master/workers.h"

namespace streamgate {

struct ServiceView {
  const Generation& generation;  // the serving generation
  const Workers& workers;
  std::string_view state;   // `starting`, `serving`, `reloading`, `leaving` or `stopping`
  const std::string& held;  // why a wanted reload does not begin; empty: none is held
  const Outcome& reload;
  const Outcome& reopen;
  int64_t started_ms;  // CLOCK_MONOTONIC
};

// One line for the service manager.
std::string summary_of(const ServiceView& view);
// The content of the status file.
StatusReport report_of(const ServiceView& view);
// The same for the workers, as far as they do not know it.
ServiceFacts facts_of(const ServiceView& view);
// The body of a report. As of the last 500 ms: workers write their streams twice a second.
std::string body_of(ReportKind report, const ServiceView& view);
// The answer to SIGUSR2.
void log_live_state(const ServiceView& view);

// Writes the state when it has changed: once in each turn of the loop, at most.
class StatusPublisher {
 public:
  void note_change() { changed_ = true; }
  // To the status file, the service manager, and the board that workers read.
  void publish(const ServiceView& view, const ServiceManager& manager, const std::string& pid_file,
               Board& board);
  void remove() { file_.remove(); }

 private:
  StatusFile file_;
  bool changed_ = true;
  bool failed_ = false;  // the last write, which has been logged
};

}  // namespace streamgate
