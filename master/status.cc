#include "master/status.h"

#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/service_survey.h"

namespace streamgate {

std::string summary_of(const ServiceView& view) {
  const Generation& generation = view.generation;
  std::string out = std::string(view.state) + ", generation " + std::to_string(generation.number) +
                    ": " + std::to_string(view.workers.serving(generation.number)) + " of " +
                    std::to_string(generation.places.size()) + " workers ready";
  const size_t draining = view.workers.draining();
  if (draining > 0) out += ", " + std::to_string(draining) + " draining";
  if (!view.held.empty()) out += "; a reload is held: " + view.held;
  if (view.reload.sequence == 0) return out;
  // Quoted, so that it stays one line.
  return out + "; last reload " +
         (view.reload.problem.empty() ? "ok" : "failed: " + log::quote(view.reload.problem));
}

StatusReport report_of(const ServiceView& view) {
  const int64_t now = monotonic_ms();
  StatusReport out;
  out.pid = ::getpid();
  out.start_ticks = start_ticks_of(out.pid);
  out.generation = view.generation.number;
  out.state = view.state;
  out.age_s = (now - view.started_ms) / 1000;
  out.written_us = monotonic_us();
  out.workers_wanted = view.generation.places.size();
  out.addresses = view.generation.addresses();
  out.held = view.held;
  out.reload = view.reload;
  out.reopen = view.reopen;
  for (const WorkerProcess& worker : view.workers) {
    const auto& [pid, slot, generation, place] = worker.identity();
    out.workers.push_back({pid, slot, generation, name_of(worker.slot().state.load()),
                           worker.age_ms(now) / 1000, worker.slot().connections_now.load(),
                           worker.slot().exchanges_now.load()});
  }
  for (const CounterInfo& info : kCounters) {
    out.totals.push_back(view.workers.total(info.counter));
  }
  return out;
}

ServiceFacts facts_of(const ServiceView& view) {
  ServiceFacts out;
  out.started_ms = view.started_ms;
  out.pid = ::getpid();
  out.generation = view.generation.number;
  out.workers_wanted = view.generation.places.size();
  out.state = FixedText<16>(view.state);
  out.held = FixedText<256>(view.held);
  out.reload = {view.reload.sequence, view.reload.started_us, FixedText<256>(view.reload.problem)};
  return out;
}

std::string body_of(ReportKind report, const ServiceView& view) {
  const ServiceSurvey found = survey(view.workers.scoreboard().view(), monotonic_ms(),
                                     view.generation.config.watchdog_timeout);
  switch (report) {
    case ReportKind::status_json:
      return print_status_json(found);
    case ReportKind::streams:
      return print_streams(found);
    case ReportKind::streams_json:
      return print_streams_json(found);
  }
  return {};
}

void log_live_state(const ServiceView& view) {
  log::info("state.master", {{"generation", view.generation.number},
                             {"workers", view.workers.size()},
                             {"wanted", view.generation.places.size()},
                             {"addresses", view.generation.addresses()},
                             {"reloading", view.state == "reloading" ? "yes" : "no"}});
  const int64_t now = monotonic_ms();
  for (const WorkerProcess& worker : view.workers) {
    log::info("state.worker", {{"worker", worker.identity().pid},
                               {"slot", worker.identity().slot_index},
                               {"generation", worker.identity().generation},
                               {"state", name_of(worker.slot().state.load())},
                               {"age", std::to_string(worker.age_ms(now) / 1000) + "s"},
                               {"connections", worker.slot().connections_now.load()},
                               {"exchanges", worker.slot().exchanges_now.load()}});
  }
}

void StatusPublisher::publish(const ServiceView& view, const ServiceManager& manager,
                              const std::string& pid_file, Board& board) {
  if (!changed_) return;
  changed_ = false;
  board.facts.put(facts_of(view));
  manager.notify("STATUS=" + summary_of(view));
  const auto written = file_.write(pid_file, print_status(report_of(view)));
  if (!written && !failed_) {
    log::warn("master.status_not_written", {{"reason", written.error().detail}});
  }
  failed_ = !written;
}

}  // namespace streamgate
