// The Supervisor's start, fresh or from the program that it replaces, and its stop.
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/log.h"
#include "common/log_sink.h"
#include "common/version.h"
#include "master/config/listen.h"
#include "master/config/open_proxy.h"
#include "master/process/account.h"
#include "master/process/own_process.h"
#include "master/service/limits.h"
#include "master/service/running_service.h"
#include "master/supervisor.h"
#include "master/upgrade/inheritance.h"

namespace streamgate {
namespace {

constexpr int kExitFailed = 1;

Result<Listeners> adopt_sockets(const std::vector<int>& sockets) {
  Listeners out;
  for (const int fd : sockets) {
    auto listener = Listener::adopt(fd);
    if (!listener) return listener.error();
    out.push_back(std::make_shared<const Listener>(*std::move(listener)));
  }
  return out;
}

// To the log, and to the terminal if the log is elsewhere.
void report_failed_start(const std::string& reason) {
  log::error("master.start_failed", {{"reason", reason}});
  if (!log::goes_to_stderr()) LogSink::standard_error().write("streamgate: " + reason + "\n");
}

}  // namespace

Result<void> Supervisor::start() {
  open_standard_descriptors();
  started_ms_ = monotonic_ms();
  program_file_ = running_program_file();
  manager_ = ServiceManager::from_environment();
  auto adopted = adopt_sockets(manager_.sockets());
  if (!adopted) return adopted.error();
  from_manager_ = *std::move(adopted);
  LoadedConfig loaded = load_config_in_effect();
  if (!loaded.ok()) return Error{Reason::internal, "the configuration is wrong"};

  auto signals = watch_signals();
  if (!signals) return signals.error();
  signal_fd_ = *std::move(signals);
  raise_descriptor_limit();
  auto workers = Workers::create();
  if (!workers) return workers.error();
  workers_.emplace(*std::move(workers));

  auto account = find_account(loaded.config.user);
  if (!account) return account.error();
  if (auto opened = open_log_files(loaded.config.log, *account); !opened) return opened;
  auto generation =
      Generation::prepare(++last_generation_, std::move(loaded.config), from_manager_);
  if (!generation) return generation.error();
  current_ = std::make_unique<Generation>(*std::move(generation));
  if (auto written = claim_pid_file(); !written) return written;
  log::info("master.started", {{"version", version()},
                               {"workers", current_->places.size()},
                               {"addresses", current_->addresses()},
                               {"admin", current_->admin_addresses()},
                               {"config", program_.config_file}});
  if (const auto address = open_proxy_address(current_->config)) {
    log::warn("security.open_proxy",
              {{"address", address->to_string()},
               {"hint", "set security.auth: token, security.allow or security.clients.allow"}});
  }
  last_turn_ms_ = monotonic_ms();
  return {};
}

Result<void> Supervisor::take_over(UniqueFd state) {
  auto handover = receive_handover(std::move(state));
  if (!handover) return handover.error();
  auto inheritance = Inheritance::take(*handover);
  if (!inheritance) return inheritance.error();
  auto signals = watch_signals();
  if (!signals) return signals.error();

  signal_fd_ = *std::move(signals);
  const Handover::Service& service = handover->service;
  program_file_ = running_program_file();
  program_file_.path = service.program;
  manager_ = ServiceManager(service.notify_socket, service.watchdog_ms);
  pid_file_.resume(service.pid_file);
  from_manager_ = std::move(inheritance->from_manager);
  current_ = std::make_unique<Generation>(std::move(inheritance->generation));
  workers_.emplace(std::move(inheritance->scoreboard),
                   Workers::Lifeline{std::move(inheritance->lifeline_read),
                                     std::move(inheritance->lifeline_write)},
                   std::move(inheritance->workers));
  workers_->cache_seats() = std::move(inheritance->cache_seats);
  last_reload_ = handover->reload;
  last_reopen_ = handover->reopen;
  reload_started_us_ = service.reload_started_us;
  started_ms_ = service.started_ms;
  last_generation_ = service.last_generation;
  reload_wanted_ = service.reload_wanted;
  first_generation_ready_ = service.is_ready;
  last_turn_ms_ = monotonic_ms();
  workers_->count(Counter::upgrades_done);
  open_current_logs();
  log::info("upgrade.done", {{"from", service.version},
                             {"to", version()},
                             {"workers", workers_->size()},
                             {"addresses", current_->addresses()}});
  begin_reload();
  return {};
}

LoadedConfig Supervisor::load_config_in_effect() const {
  LoadedConfig loaded = load_config(program_.config_file, program_.environment);
  for (const std::string& problem : loaded.problems) {
    log::error("config.problem", {{"problem", problem}});
  }
  for (const std::string& warning : loaded.warnings) {
    log::warn("config.warning", {{"warning", warning}});
  }
  use_addresses_of_manager(addresses_of(from_manager_), loaded.config);
  return loaded;
}

// Two services with one pid file would stop, reload and remove each other's.
Result<void> Supervisor::claim_pid_file() {
  const std::string& path = current_->config.pid_file;
  if (const auto other = serving_master(path)) {
    return Error{Reason::internal, path + " belongs to the running service of process " +
                                       std::to_string(*other) +
                                       "; every service needs a pid_file of its own"};
  }
  return pid_file_.move_to(path);
}

int Supervisor::fail_start(const std::string& reason) {
  report_failed_start(reason);
  if (current_) current_->remove_files_not_in({});
  return kExitFailed;
}

void Supervisor::abort_start(const std::string& reason) {
  report_failed_start(reason);
  exit_code_ = kExitFailed;
  stop(Stop::at_once);
}

// Repeated, with a stricter stop each time.
void Supervisor::stop(Stop how) {
  if (how <= stop_) return;
  const bool was_stopping = stop_ != Stop::no;
  stop_ = how;
  if (was_stopping) tell_workers_to_stop();
}

// A planned stop: for drain.ready_delay only /ready answers 503, so that a load balancer sends its
// clients elsewhere.
void Supervisor::leave(Stop how) {
  const Milliseconds delay = current_->config.drain.ready_delay;
  if (is_leaving() && how <= leave_as_) return;
  if (is_leaving() || stop_ != Stop::no || delay.count() == 0) return stop(how);
  leave_as_ = how;
  leave_at_ms_ = monotonic_ms() + delay.count();
  reload_wanted_ = false;
  end_upgrade();
  workers_->announce_leaving();
  log::info("master.leaving", {{"ready_delay_ms", delay.count()}});
  status_.note_change();
}

void Supervisor::stop_when_left() {
  if (is_leaving() && monotonic_ms() >= leave_at_ms_) stop(leave_as_);
}

// Ends the trial, if there is one: the new program would not know that a stop has been announced.
void Supervisor::end_upgrade() {
  if (!upgrade_) return;
  upgrade_->kill_trial();
  upgrade_.reset();
  reload_failed("the service stops", "");
}

int Supervisor::stop_all_workers() {
  log::info("master.stopping", {{"workers", workers_->size()}});
  workers_->announce_stop();
  end_upgrade();
  if (reload_) abandon_reload("the service stops");
  // Workers still hold the sockets. New clients are refused when the last worker has closed them.
  current_->remove_files_not_in({});
  current_->listeners.clear();
  from_manager_.clear();
  status_.note_change();
  manager_.notify("STOPPING=1");
  tell_workers_to_stop();
  while (!workers_->empty()) {
    reap_exited_children();
    kill_stuck_workers();
    status_.publish(view(), manager_, pid_file_.path(), workers_->scoreboard().board());
    log::report_dropped();
    feed_watchdog();
    if (!workers_->empty()) handle(wait_for_signal(signal_fd_, wait_limit_ms()));
  }
  remove_reports(pid_file_.path());
  status_.remove();
  pid_file_.remove();
  log::info("master.stopped", {{"status", exit_code_}});
  return exit_code_;
}

void Supervisor::tell_workers_to_stop() {
  const int64_t now = monotonic_ms();
  if (stop_ == Stop::at_once) return workers_->interrupt_all(now, kInterruptGrace);
  workers_->drain_all(now,
                      stop_ == Stop::bounded ? current_->config.drain.stop_timeout : drain_limit());
}

std::optional<Milliseconds> Supervisor::drain_limit() const {
  const Milliseconds limit = current_->config.drain.timeout;
  return limit.count() > 0 ? std::optional(limit) : std::nullopt;
}

}  // namespace streamgate
