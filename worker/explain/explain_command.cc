#include "worker/explain/explain_command.h"

#include <signal.h>

#include <cstdio>
#include <optional>

#include "common/check.h"
#include "common/heritage.h"
#include "common/scoreboard.h"
#include "worker/explain/explainer.h"
#include "worker/explain/report_text.h"
#include "worker/fetch/loop_mark.h"
#include "worker/fetch/origin_marks.h"
#include "worker/fetch/own_addresses.h"
#include "worker/fetch/target_guard.h"
#include "worker/links/upstream_url.h"
#include "worker/loop/event.h"
#include "worker/loop/reaper.h"
#include "worker/loop/socket_memory.h"
#include "worker/loop/timer_wheel.h"
#include "worker/upstream/connection_places.h"
#include "worker/upstream/host_settings.h"
#include "worker/upstream/pool.h"
#include "worker/upstream/resolver.h"

namespace streamgate {
namespace {

std::vector<ListenSocket> listeners_of(const Config& config) {
  std::vector<ListenSocket> out;
  for (const ListenConfig& entry : config.listen) {
    ListenSocket& socket = out.emplace_back();
    socket.address = entry.address;
  }
  return out;
}

std::vector<SocketAddress> addresses_of(const Config& config) {
  std::vector<SocketAddress> out;
  for (const ListenConfig& entry : config.listen) out.push_back(entry.address);
  return out;
}

std::string loop_id(const Config& config) {
  if (!config.loop_id.empty()) return config.loop_id;
  return derive_loop_id(machine_identity(), listeners_of(config));
}

// The parts of a worker that a fetch needs.
class Engine final : private Explainer::Observer {
 public:
  // `scoreboard` has one slot, which is taken.
  Engine(const Config& config, Scoreboard& scoreboard)
      : config_(config),
        wheel_(base_.get()),
        reaper_(base_.get()),
        resolver_(base_.get(), wheel_, config.upstream),
        hosts_(config.upstream),
        socket_memory_(wheel_),
        places_(scoreboard.column(0).connections, 0, scoreboard.view(),
                config.upstream.connect_timeout),
        pool_({base_.get(), wheel_, reaper_, config.upstream, resolver_, places_, socket_memory_,
               counters_}),
        guard_(config.security, {reachable_addresses(addresses_of(config)), config.public_url,
                                 reachable_addresses(config.admin.listen)}),
        loop_mark_(loop_id(config)),
        marks_(config.upstream, wheel_, scoreboard.column(0), scoreboard.view()),
        environment_{config.upstream, guard_, loop_mark_, marks_,    hosts_,
                     resolver_,       pool_,  wheel_,     counters_, resolve_upstream_url} {}

  // An error if the CA files of the configuration cannot be read.
  Result<Report> explain(ExplainRequest request) {
    if (auto started = pool_.start(); !started) return started.error();
    Explainer::Observer& self = *this;
    Explainer explainer(environment_, config_, std::move(request), self);
    explainer.start();
    if (!report_) event_base_dispatch(base_.get());
    explainer.stop();
    pool_.stop_keeping();
    reaper_.reap();
    CHECK(report_);
    return *std::move(report_);
  }

 private:
  void on_explained(const Report& report) override {
    report_ = report;
    event_base_loopbreak(base_.get());
  }

  const Config& config_;
  EventBase base_{event_base_new()};
  TimerWheel wheel_;
  Reaper reaper_;
  Counters counters_;
  Resolver resolver_;
  HostTable hosts_;
  SocketMemory socket_memory_;
  ConnectionPlaces places_;
  UpstreamPool pool_;
  TargetGuard guard_;
  LoopMark loop_mark_;
  OriginMarks marks_;
  FetchEnvironment environment_;
  std::optional<Report> report_;
};

Report explain(const Config& config, const ExplainOrder& order) {
  auto link = parse_explained(order.url, order.headers, config.public_url);
  if (!link) return report_on_refused(order.url, link.error());
  auto scoreboard = Scoreboard::create(1);
  if (!scoreboard || !scoreboard->take(1)) {
    return report_on_refused(order.url, {Reason::internal, "no shared memory"});
  }
  auto report = Engine(config, *scoreboard).explain({*std::move(link), order.limit});
  if (report) return *std::move(report);
  Report failed = report_on_refused(order.url, report.error());
  failed.verdict = Verdict::refused;  // by the configuration
  return failed;
}

}  // namespace

int explain_command(const Config& config, const ExplainOrder& order) {
  ::signal(SIGPIPE, SIG_IGN);
  const Report report = explain(config, order);
  const std::string text = order.is_json ? report_as_json(report) : report_as_text(report);
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
  return static_cast<int>(report.verdict);
}

}  // namespace streamgate
