#include "worker/upstream/pool.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <list>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "common/check.h"
#include "worker/upstream/dialer.h"
#include "worker/upstream/place_queue.h"
#include "worker/upstream/proxy_dialer.h"
#include "worker/upstream/tls.h"

namespace streamgate {
namespace {

constexpr size_t kScratchBytes = size_t{256} * 1024;
// How often idle connections are offered to other workers that wait for a place.
constexpr std::chrono::milliseconds kOfferInterval{100};
// If a request cannot wait, it is refused from the event loop.
constexpr std::chrono::milliseconds kAtOnce{1};

// Connections with the same value are interchangeable. A view, so that a lookup does not allocate.
struct OriginView {
  const HostSettings* settings;  // the proxy and the TLS settings
  IpAddress address;             // a default one if only the proxy knows it
  uint64_t limit_key;            // of max_connections; 0: none
  uint16_t port;
  bool is_https;
  std::string_view name;  // one address may serve several names with different servers

  bool operator==(const OriginView&) const = default;
};

struct OriginKey {
  const HostSettings* settings;
  IpAddress address;
  uint64_t limit_key;
  uint16_t port;
  bool is_https;
  std::string name;

  operator OriginView() const {  // NOLINT: implicit
    return {settings, address, limit_key, port, is_https, name};
  }
};

struct OriginHash {
  using is_transparent = void;
  size_t operator()(const OriginView& origin) const {
    const auto bytes = reinterpret_cast<const char*>(origin.address.bytes.data());
    const size_t name = std::hash<std::string_view>{}(origin.name);
    return (std::hash<std::string_view>{}({bytes, origin.address.bytes.size()}) * 31 + name) * 31 +
           origin.port;
  }
};

struct OriginEqual {
  using is_transparent = void;
  bool operator()(const OriginView& a, const OriginView& b) const { return a == b; }
};

OriginView origin_of(const UpstreamPool::Target& target, uint64_t limit_key,
                     const SocketAddress& address) {
  const bool is_known = address.is_ip();
  return {&target.settings,    is_known ? address.ip() : IpAddress{},
          limit_key,           is_known ? address.port() : target.url.port,
          target.url.is_https, target.url.host};
}

// The parts of the tools that differ between settings.
struct Route {
  UpstreamConnection::Tools connections;
  Dialer::Tools dialing;
};

struct Pooled;
using Parked = std::list<Pooled*>;

struct Origin {
  Parked idle;       // most recently used first
  size_t alive = 0;  // idle and on loan; the origin is erased with its last connection
};
using Origins = std::unordered_map<OriginKey, Origin, OriginHash, OriginEqual>;

struct Pooled final : UpstreamConnection {
  Pooled(const Tools& tools, Keeper& keeper, UpstreamSocket socket, Origins::value_type& its_origin,
         std::string its_session)
      : UpstreamConnection(tools, keeper, std::move(socket)),
        origin(its_origin),
        tls_session(std::move(its_session)) {
    origin_place = in_origin.insert(in_origin.end(), this);
    age_place = by_age.insert(by_age.end(), this);
  }

  Origins::value_type& origin;
  const std::string tls_session;  // the name of its session; empty without TLS
  bool session_kept = false;
  // The nodes of this connection in the two lists of idle connections. They wait here while it is
  // on loan, so that borrowing and giving back do not allocate.
  Parked in_origin;
  Parked by_age;
  Parked::iterator origin_place;
  Parked::iterator age_place;
  bool is_parked = false;
  int64_t idle_since_ms = 0;
  size_t index = 0;  // in State::connections
};

}  // namespace

// NOLINTNEXTLINE(cppcoreguidelines-virtual-class-destructor): final, never deleted as a base
struct UpstreamPool::State final : private UpstreamConnection::Keeper {
  explicit State(const Tools& its_tools)
      : tools(its_tools),
        config(its_tools.config),
        scratch(new char[kScratchBytes]),
        queue(its_tools.base, its_tools.wheel, its_tools.places),
        expiry(its_tools.wheel, this, call<&State::on_expiry>),
        offer(its_tools.wheel, this, call<&State::on_offer>) {}

  Route& route_of(const HostSettings& settings);
  Pooled* take_idle(const Target& target, uint64_t limit_key);
  Pooled* take_idle_at(const OriginView& view);
  Pooled& adopt(const Target& target, uint64_t limit_key, const SocketAddress& address,
                UpstreamSocket socket);
  bool claim_place(uint64_t limit_key, unsigned limit);
  void release_place(uint64_t limit_key);
  bool close_idle_of(uint64_t limit_key);
  void on_offer();
  bool is_keeping() const;
  void park(Pooled& connection);
  void unpark(Pooled& connection);
  void discard(Pooled& connection);
  void close_idle();
  void on_idle_ended(UpstreamConnection& connection) override;
  void on_expiry();

  const Tools tools;
  const UpstreamConfig& config;
  std::unique_ptr<char[]> scratch;
  TlsContexts tls;
  TlsSessions sessions;
  std::unordered_map<const HostSettings*, std::unique_ptr<Route>> routes;
  PlaceQueue queue;
  Origins origins;
  Parked idle;                                       // of all origins, the longest idle first
  std::vector<std::unique_ptr<Pooled>> connections;  // idle and on loan
  size_t limited_idle = 0;                           // of `idle`, those with a limit_key
  Deadline expiry;                                   // of the longest idle
  Deadline offer;                                    // armed while limited_idle > 0
  bool keeping = true;
};

// --- attempts ---

class UpstreamPool::Attempt final : public Retirable,
                                    private Dialer::Observer,
                                    private PlaceQueue::Waiter {
 public:
  Attempt(State& state, const Target& target, uint64_t limit_key, Freshness freshness,
          UpstreamPool::Observer& observer)
      : state_(state),
        url_(target.url),
        settings_(target.settings),
        addresses_(limit_key == 0 ? std::vector<SocketAddress>{} : target.addresses),
        limit_key_(limit_key),
        freshness_(freshness),
        observer_(observer),
        patience_(state.tools.wheel, this, call<&Attempt::on_patience_ended>) {
    const Dialer::Tools& tools = state.route_of(settings_).dialing;
    Dialer::Observer& self = *this;
    if (settings_.uses_proxy()) {
      through_proxy_.emplace(tools, state.tools.resolver, settings_, url_, target.addresses, self);
      through_proxy_->set_trace(target.trace);
    } else {
      direct_.emplace(tools, url_, target.addresses, self);
      direct_->set_trace(target.trace);
    }
  }

  void start() {
    if (limit_key_ == 0) return dial();
    if (!state_.queue.must_wait(limit_key_) && claim()) return dial();
    PlaceQueue::Waiter& self = *this;
    const bool may_wait = state_.queue.add(limit_key_, self);
    patience_.arm(may_wait ? state_.config.connect_timeout : kAtOnce);
  }
  void cancel() {
    direct_ ? direct_->cancel() : through_proxy_->cancel();
    stop_waiting();
    release();
    // This call may come from a callback of the dialer.
    state_.tools.reaper.retire(std::unique_ptr<Retirable>(this));
  }

 private:
  Target target() const { return {url_, settings_, addresses_}; }
  void dial() { direct_ ? direct_->start() : through_proxy_->start(); }

  bool claim() {
    has_place_ = state_.claim_place(limit_key_, settings_.config.max_connections);
    return has_place_;
  }
  void release() {
    if (std::exchange(has_place_, false)) state_.release_place(limit_key_);
  }
  void stop_waiting() {
    if (limit_key_ == 0) return;
    patience_.cancel();
    state_.queue.remove(limit_key_, *this);
  }

  bool take_place() override {
    if (freshness_ == Freshness::reuse_allowed) {
      if (Pooled* connection = state_.take_idle(target(), limit_key_)) {
        count(state_.tools.counters, Counter::upstream_connections_reused);
        stop_waiting();
        connection->begin_loan();
        observer_.on_connected(*connection);
        return true;
      }
    }
    if (!claim()) return false;
    stop_waiting();
    dial();
    return true;
  }
  void on_patience_ended() {
    stop_waiting();
    observer_.on_connect_failed(
        {Reason::upstream_busy, url_.authority() + ": " +
                                    std::to_string(settings_.config.max_connections) +
                                    " connections are in use"});
  }

  void on_dialed(UpstreamSocket socket, const SocketAddress& address) override {
    count(state_.tools.counters, Counter::upstream_connections_opened);
    if (socket.is_tls()) count(state_.tools.counters, Counter::upstream_tls_handshakes);
    Pooled& connection = state_.adopt(target(), limit_key_, address, std::move(socket));
    has_place_ = false;  // the connection has it now
    connection.begin_loan();
    observer_.on_connected(connection);
  }
  void on_dial_failed(Error error) override {
    release();
    observer_.on_connect_failed(std::move(error));
  }

  State& state_;
  const HttpUrl url_;
  const HostSettings& settings_;
  const std::vector<SocketAddress> addresses_;  // empty without a limit_key_
  const uint64_t limit_key_;
  const Freshness freshness_;
  UpstreamPool::Observer& observer_;
  Deadline patience_;
  bool has_place_ = false;
  // One of them, after url_.
  std::optional<Dialer> direct_;
  std::optional<ProxyDialer> through_proxy_;
};

void UpstreamPool::CancelAttempt::operator()(Attempt* attempt) const noexcept { attempt->cancel(); }

// --- the pool ---

UpstreamPool::UpstreamPool(const Tools& tools) : state_(std::make_unique<State>(tools)) {}

UpstreamPool::~UpstreamPool() = default;

Result<void> UpstreamPool::start() {
  auto contexts = make_tls_contexts(state_->config);
  if (!contexts) return std::move(contexts).error();
  state_->tls = *std::move(contexts);
  return {};
}

UpstreamConnection* UpstreamPool::acquire(const Target& target, Freshness freshness,
                                          Observer& observer, AttemptHandle& attempt) {
  const uint64_t limit_key = limit_key_of(target.url, target.settings);
  const bool may_reuse = limit_key == 0 || !state_->queue.must_wait(limit_key);
  if (freshness == Freshness::reuse_allowed && may_reuse) {
    if (Pooled* connection = state_->take_idle(target, limit_key)) {
      count(state_->tools.counters, Counter::upstream_connections_reused);
      connection->begin_loan();
      return connection;
    }
  }
  attempt.reset(new Attempt(*state_, target, limit_key, freshness, observer));
  attempt->start();
  return nullptr;
}

void UpstreamPool::give_back(UpstreamConnection& loan, Reuse reuse) {
  auto& connection = static_cast<Pooled&>(loan);
  CHECK(connection.is_on_loan());
  if (connection.can_be_kept() && !std::exchange(connection.session_kept, true)) {
    state_->sessions.keep(connection.socket().session(), connection.tls_session);
  }
  const bool keep = reuse == Reuse::allowed && connection.can_be_kept();
  if (!keep || !state_->is_keeping()) return state_->discard(connection);
  const uint64_t limit_key = connection.origin.first.limit_key;
  if (limit_key != 0 && state_->queue.is_wanted_elsewhere(limit_key)) {
    return state_->discard(connection);
  }
  connection.end_loan();
  state_->park(connection);
  if (limit_key != 0) state_->queue.wake(limit_key);
}

bool UpstreamPool::is_wanted(uint64_t limit_key) const {
  return limit_key != 0 && state_->queue.must_wait(limit_key);
}

void UpstreamPool::stop_keeping() {
  state_->keeping = false;
  state_->close_idle();
}

size_t UpstreamPool::size() const { return state_->connections.size(); }
size_t UpstreamPool::idle() const { return state_->idle.size(); }

Route& UpstreamPool::State::route_of(const HostSettings& settings) {
  auto& route = routes[&settings];
  if (!route) {
    const auto context = tls.find(settings.config.tls.ca_file);
    route.reset(new Route{{tools.base,
                           tools.wheel,
                           tools.socket_memory,
                           settings.config,
                           tools.counters,
                           {scratch.get(), kScratchBytes}},
                          {tools.base, tools.wheel, settings.config,
                           context == tls.end() ? nullptr : context->second.get(), sessions}});
  }
  return *route;
}

Pooled* UpstreamPool::State::take_idle(const Target& target, uint64_t limit_key) {
  if (target.addresses.empty()) return take_idle_at(origin_of(target, limit_key, SocketAddress{}));
  for (const SocketAddress& address : target.addresses) {
    Pooled* connection = take_idle_at(origin_of(target, limit_key, address));
    if (connection != nullptr) return connection;
  }
  return nullptr;
}

Pooled* UpstreamPool::State::take_idle_at(const OriginView& view) {
  // The origin is looked up again after each discard(), which erases an origin with its last
  // connection.
  for (auto origin = origins.find(view); origin != origins.end() && !origin->second.idle.empty();
       origin = origins.find(view)) {
    // The most recently used one, so that the others can expire.
    Pooled& connection = *origin->second.idle.front();
    if (connection.can_be_lent()) {
      unpark(connection);
      return &connection;
    }
    // Its unread bytes would be taken for the answer to the next request.
    discard(connection);
  }
  return nullptr;
}

Pooled& UpstreamPool::State::adopt(const Target& target, uint64_t limit_key,
                                   const SocketAddress& address, UpstreamSocket socket) {
  const OriginView view = origin_of(target, limit_key, address);
  OriginKey key{view.settings, view.address,  view.limit_key,
                view.port,     view.is_https, std::string(view.name)};
  auto& origin = *origins.try_emplace(std::move(key)).first;
  ++origin.second.alive;
  Keeper& keeper = *this;
  const TlsConfig& tls_config = target.settings.config.tls;
  connections.push_back(std::make_unique<Pooled>(
      route_of(target.settings).connections, keeper, std::move(socket), origin,
      target.url.is_https ? session_name(tls_config, target.url) : std::string()));
  connections.back()->index = connections.size() - 1;
  return *connections.back();
}

// --- places among max_connections ---

// Idle connections are given up first.
bool UpstreamPool::State::claim_place(uint64_t limit_key, unsigned limit) {
  return tools.places.claim(limit_key, limit) ||
         (close_idle_of(limit_key) && tools.places.claim(limit_key, limit));
}

void UpstreamPool::State::release_place(uint64_t limit_key) {
  tools.places.release(limit_key);
  queue.wake(limit_key);
}

// Closes the longest idle connection of that key; false if there is none.
bool UpstreamPool::State::close_idle_of(uint64_t limit_key) {
  if (limited_idle == 0) return false;
  const auto found = std::find_if(idle.begin(), idle.end(), [&](const Pooled* connection) {
    return connection->origin.first.limit_key == limit_key;
  });
  if (found == idle.end()) return false;
  discard(**found);
  return true;
}

// Closes one idle connection for each key for which a request of another worker waits.
void UpstreamPool::State::on_offer() {
  if (tools.places.is_any_wanted()) {
    std::vector<uint64_t> keys;
    for (const Pooled* connection : idle) {
      const uint64_t key = connection->origin.first.limit_key;
      if (key != 0 && std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    }
    for (const uint64_t key : keys) {
      if (queue.is_wanted_elsewhere(key)) close_idle_of(key);
    }
  }
  if (limited_idle > 0) offer.arm(kOfferInterval);
}

bool UpstreamPool::State::is_keeping() const {
  return keeping && config.keepalive_per_origin > 0 && config.keepalive_per_worker > 0 &&
         config.keepalive_idle.count() > 0;
}

void UpstreamPool::State::park(Pooled& connection) {
  Parked& siblings = connection.origin.second.idle;
  if (siblings.size() >= config.keepalive_per_origin) discard(*siblings.back());
  if (idle.size() >= config.keepalive_per_worker) discard(*idle.front());
  connection.idle_since_ms = tools.wheel.now_ms();
  siblings.splice(siblings.begin(), connection.in_origin);
  idle.splice(idle.end(), connection.by_age);
  connection.is_parked = true;
  if (connection.origin.first.limit_key != 0) {
    ++limited_idle;
    if (!offer.armed()) offer.arm(kOfferInterval);
  }
  if (!expiry.armed()) expiry.arm(config.keepalive_idle);
}

// A list node keeps its address while it moves between lists.
void UpstreamPool::State::unpark(Pooled& connection) {
  connection.in_origin.splice(connection.in_origin.begin(), connection.origin.second.idle,
                              connection.origin_place);
  connection.by_age.splice(connection.by_age.begin(), idle, connection.age_place);
  connection.is_parked = false;
  if (connection.origin.first.limit_key != 0) --limited_idle;
}

// Closes the connection at once. The reaper destroys the object after its callbacks have returned.
void UpstreamPool::State::discard(Pooled& connection) {
  if (connection.is_parked) unpark(connection);
  connection.close();
  const size_t index = connection.index;
  std::unique_ptr<Pooled> gone = std::move(connections[index]);
  if (index + 1 != connections.size()) {
    connections[index] = std::move(connections.back());
    connections[index]->index = index;
  }
  connections.pop_back();
  if (const uint64_t limit_key = gone->origin.first.limit_key; limit_key != 0) {
    release_place(limit_key);
  }
  if (--gone->origin.second.alive == 0) origins.erase(origins.find(gone->origin.first));
  tools.reaper.retire(std::move(gone));
}

void UpstreamPool::State::close_idle() {
  while (!idle.empty()) discard(*idle.front());
}

void UpstreamPool::State::on_idle_ended(UpstreamConnection& connection) {
  discard(static_cast<Pooled&>(connection));
}

void UpstreamPool::State::on_expiry() {
  const int64_t now = tools.wheel.now_ms();
  while (!idle.empty()) {
    Pooled& oldest = *idle.front();
    const int64_t left = oldest.idle_since_ms + config.keepalive_idle.count() - now;
    if (left > 0) return expiry.arm(Milliseconds{left});
    discard(oldest);
  }
}

}  // namespace streamgate
