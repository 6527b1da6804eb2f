#include "worker/worker.h"

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "common/ascii.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/process_title.h"
#include "common/scoreboard.h"
#include "worker/admin/admin_server.h"
#include "worker/client/paced_refusals.h"
#include "worker/client/tls_server.h"
#include "worker/confine/confinement.h"
#include "worker/documents/detector.h"
#include "worker/documents/live_media.h"
#include "worker/exchange/access_log.h"
#include "worker/exchange/environment.h"
#include "worker/exchange/stream_limits.h"
#include "worker/fetch/loop_mark.h"
#include "worker/fetch/origin_marks.h"
#include "worker/fetch/own_addresses.h"
#include "worker/fetch/target_guard.h"
#include "worker/links/upstream_url.h"
#include "worker/loop/event_memory.h"
#include "worker/loop/heap.h"
#include "worker/loop/pipe.h"
#include "worker/loop/request_note.h"
#include "worker/loop/work_queue.h"
#include "worker/server.h"
#include "worker/upstream/authorities.h"
#include "worker/upstream/connection_places.h"
#include "worker/upstream/host_settings.h"
#include "worker/upstream/pool.h"
#include "worker/upstream/resolver.h"
#include "worker/upstream/tls.h"

namespace streamgate {
namespace {

// A viewer of Ogg needs the first pages, which a window does not keep.
LiveFormat live_format_of(std::string_view type, std::string_view bytes) {
  const LiveMedia media = live_media_of(type, bytes);
  if (media == LiveMedia::packets) return LiveFormat::packets;
  const bool is_ogg = bytes.starts_with("OggS") || type.find("ogg") != type.npos ||
                      ascii::iequals(type, "audio/opus");
  return media == LiveMedia::frames && !is_ogg ? LiveFormat::frames : LiveFormat::none;
}

constexpr timeval kBeatInterval{1, 0};
constexpr Milliseconds kCacheCheck{100};

// Priorities of events: the beat, signals and the lifeline; then clients, upstreams and timers,
// which is libevent's default; then the WorkQueue.
constexpr int kPriorities = 3;
constexpr int kFirstPriority = 0;
constexpr int kUsualPriority = 1;
// After this time the loop looks for events of a higher priority.
constexpr timeval kMaxDispatch{0, 4'000};

// Whether a service manager's socket on [::] serves IPv4 too. Our own sockets never do.
bool serves_both_families(const ListenSocket& listener) {
  if (listener.address.family() != AF_INET6) return false;
  if (listener.address.ip().bytes != IpAddress().bytes) return false;
  int is_v6_only = 1;
  socklen_t size = sizeof is_v6_only;
  const int read = ::getsockopt(listener.fd, IPPROTO_IPV6, IPV6_V6ONLY, &is_v6_only, &size);
  return read == 0 && is_v6_only == 0;
}

// The addresses at which the listeners of that role can be reached.
std::vector<SocketAddress> own_addresses(std::span<const ListenSocket> listeners, ListenRole role) {
  std::vector<SocketAddress> addresses;
  for (const ListenSocket& listener : listeners) {
    if (listener.role != role) continue;
    addresses.push_back(listener.address);
    if (serves_both_families(listener))
      addresses.emplace_back(IpAddress(), listener.address.port());
  }
  return reachable_addresses(addresses);
}

LoopMark loop_mark(const Heritage& heritage) {
  const std::string& id = heritage.config.loop_id;
  return LoopMark(id.empty() ? derive_loop_id(machine_identity(), heritage.listeners) : id);
}

bool claims_document(std::string_view content_type, std::string_view path) {
  return claimed_kind(content_type, path) != DocumentKind::none;
}

// Writes libevent's messages to our log.
void log_libevent(int severity, const char* message) {
  if (severity >= EVENT_LOG_ERR) {
    log::error("libevent", {{"detail", message}});
  } else if (severity == EVENT_LOG_WARN) {
    log::warn("libevent", {{"detail", message}});
  } else {
    log::debug("libevent", {{"detail", message}});
  }
}

// One worker process: builds the parts, runs, drains. The members' order makes destruction safe:
// exchanges end before the pools that they borrow from.
// NOLINTNEXTLINE(cppcoreguidelines-virtual-class-destructor): final, never deleted by its base
class Worker final : private Server::Observer {
 public:
  Worker(const Heritage& heritage, AccessControl access)
      : heritage_(heritage),
        slot_(heritage.column.slot),
        base_(make_base()),
        wheel_(base_.get()),
        heap_trim_(wheel_),
        reaper_(base_.get()),
        work_(base_.get(), reaper_),
        resolver_(base_.get(), wheel_, heritage.config.upstream),
        hosts_(heritage.config.upstream),
        key_hosts_(heritage.config.upstream, heritage.config.security.keys),
        places_(heritage.column.connections, heritage.slot_index, heritage.scoreboard,
                heritage.config.upstream.connect_timeout),
        socket_memory_(wheel_),
        pool_({.base = base_.get(),
               .wheel = wheel_,
               .reaper = reaper_,
               .config = heritage.config.upstream,
               .resolver = resolver_,
               .places = places_,
               .socket_memory = socket_memory_,
               .counters = slot_.counters}),
        pipes_(wheel_, heritage.scoreboard.assignments, PipePool::system_limits()),
        guard_(heritage.config.security,
               {.addresses = own_addresses(heritage.listeners, ListenRole::proxy),
                .public_url = heritage.config.public_url,
                .admin = own_addresses(heritage.listeners, ListenRole::admin)}),
        loop_mark_(loop_mark(heritage)),
        marks_(heritage.config.upstream, wheel_, heritage.column, heritage.scoreboard),
        access_log_(heritage.config.log, wheel_, slot_.counters, {::getpid(), heritage.generation}),
        access_(std::move(access)),
        fetches_{.config = heritage.config.upstream,
                 .guard = guard_,
                 .loop_mark = loop_mark_,
                 .marks = marks_,
                 .hosts = hosts_,
                 .resolver = resolver_,
                 .pool = pool_,
                 .wheel = wheel_,
                 .counters = slot_.counters,
                 .resolve_location = resolve_upstream_url},
        refusals_(base_.get(), work_),
        limits_({heritage.config, heritage.scoreboard, heritage.column, heritage.arrivals, wheel_}),
        environment_{.config = heritage.config,
                     .fetches = fetches_,
                     .pipes = pipes_,
                     .socket_memory = socket_memory_,
                     .work = work_,
                     .wheel = wheel_,
                     .reaper = reaper_,
                     .access_log = access_log_,
                     .slot = slot_,
                     .scoreboard = heritage.scoreboard,
                     .column = heritage.column,
                     .access = access_,
                     .limits = limits_,
                     .key_hosts = key_hosts_,
                     .cache = make_cache(),
                     .refusals = refusals_},
        server_(base_.get(), environment_, heritage.scoreboard, heritage.column, *this),
        admin_(base_.get(), {.config = heritage.config,
                             .scoreboard = heritage.scoreboard,
                             .slot = slot_,
                             .wheel = wheel_,
                             .reaper = reaper_,
                             .fetches = fetches_,
                             .cache = environment_.cache}) {
    slot_.pid.store(static_cast<uint32_t>(::getpid()), std::memory_order_relaxed);
    slot_.started_ms.store(monotonic_ms(), std::memory_order_relaxed);
  }

  Result<void> start() {
    if (auto opened = access_log_.open(); !opened) return opened;
    if (auto started = pool_.start(); !started) return started;
    if (auto listening = server_.listen(heritage_.listeners, heritage_.ticket_key); !listening)
      return listening;
    if (auto listening = admin_.listen(heritage_.listeners); !listening) return listening;
    // The contexts have the keys.
    for (const ListenSocket& socket : heritage_.listeners) {
      if (socket.tls) socket.tls->key_pem.wipe();
    }
    watch_signals();
    lifeline_.reset(event_new(base_.get(), heritage_.lifeline_fd, EV_READ | EV_PERSIST,
                              callback<&Worker::on_master_gone>, this));
    event_priority_set(lifeline_.get(), kFirstPriority);
    event_add(lifeline_.get(), nullptr);
    beat_.reset(event_new(base_.get(), -1, EV_PERSIST, callback<&Worker::beat>, this));
    event_priority_set(beat_.get(), kFirstPriority);
    event_add(beat_.get(), &kBeatInterval);
    beat();
    return {};
  }

  void run() {
    slot_.state.store(WorkerState::ready);
    event_base_dispatch(base_.get());
    admin_.close_all();
    server_.close_all();
    reaper_.reap();
  }

 private:
  static EventBase make_base() {
    const EventConfig config(event_config_new());
    CHECK(config);
    // Busy clients and upstreams let the beat and the signals pass every few milliseconds.
    event_config_set_max_dispatch_interval(config.get(), &kMaxDispatch, -1, kUsualPriority);
    EventBase base(event_base_new_with_config(config.get()));
    CHECK(base && event_base_priority_init(base.get(), kPriorities) == 0);
    return base;
  }

  Cache* make_cache() {
    if (heritage_.cache == nullptr) return nullptr;
    const Cache::Environment environment{.base = base_.get(),
                                         .fetches = fetches_,
                                         .config = heritage_.config.cache,
                                         .reaper = reaper_,
                                         .slot = slot_,
                                         .settings_mark = heritage_.settings_mark,
                                         .claims_document = claims_document,
                                         .live_format = live_format_of};
    return &cache_.emplace(environment, *heritage_.cache, heritage_.cache_column);
  }

  void watch_signals() {
    const std::array<std::pair<int, event_callback_fn>, 5> handlers{{
        {SIGQUIT, callback<&Worker::drain>},
        {SIGTERM, callback<&Worker::drain>},
        {SIGINT, callback<&Worker::cut_exchanges>},
        {SIGUSR1, callback<&Worker::reopen_logs>},
        {SIGUSR2, callback<&Worker::log_live_state>},
    }};
    for (size_t i = 0; i < handlers.size(); ++i) {
      signals_[i].reset(event_new(base_.get(), handlers[i].first, EV_SIGNAL | EV_PERSIST,
                                  handlers[i].second, this));
      event_priority_set(signals_[i].get(), kFirstPriority);
      event_add(signals_[i].get(), nullptr);
    }
    // A terminal that closes sends HUP to the whole process group; only the master reloads.
    ::signal(SIGHUP, SIG_IGN);
    ::signal(SIGPIPE, SIG_IGN);
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_UNBLOCK, &all, nullptr);
  }

  void on_master_gone() {
    log::error(
        "master.gone",
        {{"exchanges", slot_.exchanges_now.load()},
         {"hint", "this worker accepts no more clients and exits when its streams have ended"}});
    drain();
  }

  void drain() {
    if (lifeline_) event_del(lifeline_.get());  // at EOF it stays readable
    if (slot_.state.load() == WorkerState::draining) return;
    slot_.state.store(WorkerState::draining);
    set_process_title(worker_title(heritage_.slot_index, heritage_.generation) + " (draining)");
    log::info("worker.draining", {{"slot", heritage_.slot_index},
                                  {"generation", heritage_.generation},
                                  {"exchanges", slot_.exchanges_now.load()}});
    pool_.stop_keeping();
    admin_.drain();
    server_.drain();
  }

  void cut_exchanges() { event_base_loopbreak(base_.get()); }

  // Stays while others read what it fetches.
  void on_drained() override {
    if (cache_ && cache_->is_needed()) return cache_check_.arm(kCacheCheck);
    event_base_loopexit(base_.get(), nullptr);
  }

  void reopen_logs() {
    for (const auto& result : {log::open(heritage_.config.log), access_log_.open()}) {
      if (!result) log::error("log.reopen_failed", {{"detail", result.error().detail}});
    }
  }

  void log_live_state() { environment_.exchanges.log_all(); }

  void beat() {
    slot_.beat_ms.store(monotonic_ms(), std::memory_order_relaxed);
    log::report_dropped();
  }

  const Heritage& heritage_;
  Slot& slot_;  // shared memory; the master reads it
  EventBase base_;
  TimerWheel wheel_;
  HeapTrim heap_trim_;
  Reaper reaper_;
  WorkQueue work_;
  Resolver resolver_;
  HostTable hosts_;
  KeyHosts key_hosts_;
  ConnectionPlaces places_;
  SocketMemory socket_memory_;
  UpstreamPool pool_;
  PipePool pipes_;
  TargetGuard guard_;
  LoopMark loop_mark_;
  OriginMarks marks_;
  AccessLog access_log_;
  AccessControl access_;
  FetchEnvironment fetches_;
  std::optional<Cache> cache_;  // none: off
  PacedRefusals refusals_;
  StreamLimits limits_;
  ExchangeEnvironment environment_;
  Server server_;
  AdminServer admin_;
  std::array<Event, 5> signals_;
  Event lifeline_;
  Event beat_;
  Deadline cache_check_{wheel_, this, call<&Worker::on_drained>};
};

}  // namespace

int run_worker(const Heritage& heritage) {
  ::signal(SIGPIPE, SIG_IGN);
  configure_heap();
  use_dense_event_memory();
  show_notes_in(heritage.column.served);
  event_set_log_callback(log_libevent);
  auto access = AccessControl::make(heritage.config.security);
  if (!access) {
    log::error("worker.cannot_start", {{"detail", access.error().detail}});
    return kExitCannotStart;
  }
  Worker worker(heritage, *std::move(access));
  auto started = worker.start();
  if (started) started = confine_worker(heritage.config, authority_paths());
  if (!started) {
    log::error("worker.cannot_start", {{"detail", started.error().detail}});
    return kExitCannotStart;
  }
  worker.run();
  return kExitClean;
}

Result<void> check_worker_config(const Config& config) {
  if (auto contexts = make_tls_contexts(config.upstream); !contexts) {
    return std::move(contexts).error();
  }
  if (auto access = AccessControl::make(config.security); !access) {
    return std::move(access).error();
  }
  for (const ListenConfig& entry : config.listen) {
    if (!entry.tls) continue;
    if (auto server = make_server_context(*entry.tls, {}); !server) {
      return std::move(server).error();
    }
  }
  return {};
}

}  // namespace streamgate
