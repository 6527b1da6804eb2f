#include "worker/server.h"

#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include "common/log.h"
#include "worker/client/client_address.h"
#include "worker/client/tls_server.h"
#include "worker/exchange/exchange.h"

namespace streamgate {
namespace {

// How long accepting pauses when the process has no descriptor left. Without a pause the worker
// would spin: the listening socket stays readable.
constexpr std::chrono::milliseconds kAcceptPause{200};
constexpr std::chrono::milliseconds kLogInterval{10'000};
// libevent accepts in one turn of the event loop for as long as connections wait. After this many,
// which take about 1 ms, the other events come first.
constexpr unsigned kMaxAcceptsAtOnce = 64;
// At the limit a new connection closes one idle connection to take its place. If several workers
// have passed the limit together, closing a second one brings the number back to the limit.
constexpr int kMaxClosedForOne = 2;
constexpr std::chrono::milliseconds kRoomCheckInterval{100};
constexpr std::chrono::milliseconds kSocketCheckInterval{1'000};
constexpr std::chrono::milliseconds kWaitForRoom{10};
// Besides the connections above the limit, a worker closes this part of the limit for workers that
// have no idle connection to close: after a reload only such workers accept.
constexpr uint64_t kSharedPart = 64;

// The descriptors that idle connections must leave free for upstreams, pipes and files: an eighth,
// at most 256. A new client needs some of them too.
int descriptors_short_at() {
  constexpr rlim_t kMaxReserve = 256;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::numeric_limits<int>::max();
  const rlim_t at = limit.rlim_cur - std::min(limit.rlim_cur / 8, kMaxReserve);
  return static_cast<int>(std::min<rlim_t>(at, std::numeric_limits<int>::max()));
}

}  // namespace

bool Server::LogPause::may_log(int64_t now_ms) {
  if (logged_ms && now_ms - *logged_ms < kLogInterval.count()) return false;
  logged_ms = now_ms;
  return true;
}

Server::Server(event_base* base, ExchangeEnvironment& environment, const ScoreboardView& scoreboard,
               Column& own, Observer& observer)
    : base_(base),
      environment_(environment),
      observer_(observer),
      gate_environment_{.wheel = environment.wheel,
                        .client = environment.config.client,
                        .limits = environment.config.limits,
                        .cors = environment.config.cors,
                        .errors = environment.config.errors,
                        .client_address = environment.config.client_address,
                        .trusted_proxies = environment.config.trusted_proxies,
                        .takes_exchange_ids =
                            environment.config.trusted_proxies != default_config().trusted_proxies,
                        .observer = *this,
                        .counters = environment.slot.counters,
                        .intakes = ClientIntakes(environment.config.limits)},
      limits_(environment.config, scoreboard, own),
      descriptors_short_at_(descriptors_short_at()),
      accept_again_(environment.wheel, this, call<&Server::resume_accepting>),
      balance_(scoreboard, environment.slot),
      room_check_(environment.wheel, this, call<&Server::share_room>),
      next_count_(environment.work, this, call<&Server::count_bytes_in_sockets>),
      socket_check_(environment.wheel, this, call<&Server::count_bytes_in_sockets>),
      brief_pause_end_(event_new(base, -1, 0, callback<&Server::resume_accepting>, this)) {
  CHECK(brief_pause_end_);
  room_check_.arm(kRoomCheckInterval);
  socket_check_.arm(kSocketCheckInterval);
}

Server::~Server() { close_all(); }

Result<void> Server::listen(std::span<const ListenSocket> sockets, const TicketKey& ticket_key) {
  for (const ListenSocket& socket : sockets) {
    if (socket.role != ListenRole::proxy) continue;
    auto listener = std::make_unique<Listener>(Listener{*this, {}, {}});
    if (socket.proxy_protocol) listener->preface = ClientGate::Preface::proxy_header;
    if (socket.tls) {
      auto context = make_server_context(*socket.tls, ticket_key);
      if (!context) return context.error();
      listener->tls = *std::move(context);
      note_certificate(certificate_expiry(*listener->tls));
    }
    ClientSocket::prepare_listener(socket.fd);
    Evhtp& htp = listener->htp;
    htp.reset(evhtp_new(base_, nullptr));
    if (!htp) return Error{Reason::internal, "evhtp_new failed"};
    evhtp_set_post_accept_cb(htp.get(), &Server::on_accepted, listener.get());
    // Backlog 0: the master has called listen() already. evhtp closes this process's copy.
    if (evhtp_accept_socket(htp.get(), socket.fd, 0) != 0) {
      return Error{Reason::internal, "evhtp_accept_socket failed"};
    }
    evconnlistener_set_error_cb(htp->server, &Server::on_accept_error);
    listeners_.push_back(std::move(listener));
  }
  return {};
}

// Keeps the first expiry of all certificates.
void Server::note_certificate(int64_t expiry) {
  std::atomic<int64_t>& first = environment_.slot.certificates_expire;
  if (first.load() == 0 || expiry < first.load()) first.store(expiry);
}

evhtp_res Server::on_accepted(evhtp_connection_t* connection, void* argument) {
  const auto& listener = *static_cast<const Listener*>(argument);
  Server& server = listener.server;
  const bool is_taken = server.take(listener, connection);
  const auto count_waiting = [&listener] {
    return connections_waiting(evconnlistener_get_fd(listener.htp->server));
  };
  if (server.balance_.wants_pause(server.environment_.wheel.now_ms(), count_waiting)) {
    server.pause_briefly(AcceptBalance::kPause);
  } else if (++server.accepts_ % kMaxAcceptsAtOnce == 0 && !server.pausing_briefly_) {
    server.pause_briefly(std::chrono::microseconds::zero());
  }
  return is_taken ? EVHTP_RES_OK : EVHTP_RES_ERROR;  // evhtp closes it
}

// False: the connection is closed.
bool Server::take(const Listener& listener, evhtp_connection_t* connection) {
  const int fd = static_cast<int>(connection->sock);
  const SocketAddress peer = ClientGate::peer_of(*connection);
  const bool names_peer = listener.preface == ClientGate::Preface::proxy_header;
  if (names_peer && !is_trusted(peer, environment_.config.trusted_proxies)) {
    log_bad_proxy_header(peer, "the peer is not a trusted proxy");
    return false;
  }
  // Small answers leave at once. For a Unix socket the call fails, without consequence.
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  count(environment_.slot.counters, Counter::connections_accepted);
  count(environment_.slot.connections_now);
  Connection taken;
  if (!names_peer) taken.client_row = limits_.add(peer);
  const std::optional<Reason> refused = refusal_of(taken, peer, fd);
  bool is_usable = !refused || may_answer_refused(*refused);
  Ssl ssl;
  if (is_usable && listener.tls) {
    ssl = make_server_tls(*listener.tls, fd);
    is_usable = ssl != nullptr;
  }
  if (!is_usable) {
    stop_counting(taken);
    return false;
  }
  ClientGate& gate = add_gate(listener, connection, std::move(ssl), std::move(taken));
  if (refused) refuse(gate, *refused);
  return true;
}

// Why a new connection, which is counted, is refused. None: it is not.
std::optional<Reason> Server::refusal_of(const Connection& connection, const SocketAddress& peer,
                                         int fd) {
  // A client over its own limit must not displace others.
  if (connection.client_row && limits_.is_over(peer)) return Reason::rate_limited;
  if (!make_room(fd)) return Reason::overloaded;
  return std::nullopt;
}

ClientGate& Server::add_gate(const Listener& listener, evhtp_connection_t* connection, Ssl ssl,
                             Connection taken) {
  taken.gate =
      std::make_unique<ClientGate>(gate_environment_, connection, std::move(ssl), listener.preface);
  ClientGate* const gate = taken.gate.get();
  if (draining_) gate->drain(environment_.config.drain.idle);
  gates_.emplace(gate, std::move(taken));
  return *gate;
}

// Closes idle connections for a new one, which is counted already and has the descriptor `fd`.
// False: the new one is beyond limits.connections.
bool Server::make_room(int fd) {
  publish_idle();
  int closed = 0;
  while (closed < kMaxClosedForOne && limits_.is_over() && close_longest_idle()) ++closed;
  // All descriptors up to `fd` are in use.
  const int excess = fd - descriptors_short_at_ + 1;
  while (closed < excess && close_longest_idle()) ++closed;
  // The descriptors are free in the next iteration of the event loop.
  if (excess > 0 && closed > 0) pause_briefly(std::chrono::microseconds::zero());
  if (closed > 0 || !limits_.is_over()) return true;
  if (!limits_.others_have_idle()) return false;
  wait_for_room();
  return true;
}

void Server::wait_for_room() {
  environment_.slot.wants_room.store(1, std::memory_order_relaxed);
  waiting_for_room_ = true;
  pause_briefly(kWaitForRoom);
}

void Server::stop_waiting_for_room() {
  if (!std::exchange(waiting_for_room_, false)) return;
  environment_.slot.wants_room.store(0, std::memory_order_relaxed);
}

// Closes idle connections if another worker had to pass the limit, because it has none.
void Server::share_room() {
  uint64_t wanted = 0;
  if (limits_.others_want_room()) {
    wanted = limits_.excess() + environment_.config.limits.connections / kSharedPart;
  }
  while (wanted > 0 && close_longest_idle()) --wanted;
  publish_idle();
  const UpstreamPool& pool = environment_.fetches.pool;
  environment_.slot.upstream_connections_now.store(pool.size(), std::memory_order_relaxed);
  environment_.slot.upstream_idle_now.store(pool.idle(), std::memory_order_relaxed);
  room_check_.arm(kRoomCheckInterval);
}

void Server::publish_idle() {
  environment_.slot.idle_now.store(gate_environment_.idle.count() + environment_.refusals.waiting(),
                                   std::memory_order_relaxed);
}

// In slices, because thousands of system calls would be a long turn of the loop. If the table grows
// in the meantime, connections may count twice or not at all.
void Server::count_bytes_in_sockets() {
  SocketCount& sum = socket_count_;
  while (sum.next_bucket < gates_.bucket_count()) {
    const size_t bucket = sum.next_bucket++;
    for (auto it = gates_.begin(bucket); it != gates_.end(bucket); ++it) {
      sum.bytes += it->first->stream().unacknowledged();
    }
    if (environment_.work.is_turn_long()) return next_count_.schedule();
  }
  environment_.slot.bytes_in_sockets.store(sum.bytes, std::memory_order_relaxed);
  sum = {};
  socket_check_.arm(kSocketCheckInterval);
}

// False if none is idle. A request that waits to be refused ends first.
bool Server::close_longest_idle() {
  IdleConnections& idle = gate_environment_.idle;
  bool is_closed = environment_.refusals.end_first();
  while (!is_closed) {
    ClientGate* const gate = idle.longest_idle(environment_.wheel.last_tick_ms());
    if (gate == nullptr) return false;
    is_closed = gate->close_if_idle();
  }
  count(environment_.slot.counters, Counter::connections_displaced);
  return true;
}

// Counts a refused connection. Whether it gets an answer: a flood of them must not take the CPU
// from the clients that are served, and an answer costs ten times as much as closing the
// connection.
bool Server::may_answer_refused(Reason reason) {
  const bool is_client_over = reason == Reason::rate_limited;
  count(environment_.slot.counters,
        is_client_over ? Counter::connections_rate_limited : Counter::connections_refused);
  return refused_connections_.take();
}

void Server::refuse(ClientGate& gate, Reason reason) {
  stop_counting(gates_.find(&gate)->second);
  gate.refuse_requests(reason);
  ClientGate* oldest = gate_environment_.idle.oldest_refused();
  if (oldest != &gate) oldest->end_refused();
}

// The connection no longer counts for the limits.
void Server::stop_counting(Connection& connection) {
  if (!std::exchange(connection.is_counted, false)) return;
  count_down(environment_.slot.connections_now);
  if (connection.client_row) limits_.remove(*connection.client_row);
}

void Server::on_request(ClientGate& gate) {
  environment_.exchanges.add(std::make_unique<Exchange>(environment_, gate)).start();
}

void Server::on_peer_named(ClientGate& gate) {
  const auto row = limits_.add(gate.peer());
  if (!row) return;
  gates_.find(&gate)->second.client_row = row;
  if (!limits_.is_over(gate.peer())) return;
  if (!may_answer_refused(Reason::rate_limited)) return gate.close();
  refuse(gate, Reason::rate_limited);
}

void Server::on_bad_proxy_header(const ClientGate& gate, const Error& error) {
  log_bad_proxy_header(gate.peer(), error.detail);
}

void Server::log_bad_proxy_header(const SocketAddress& peer, const std::string& detail) {
  if (!bad_proxy_header_.may_log(environment_.wheel.now_ms())) return;
  log::warn("proxy_protocol.refused", {{"peer", peer.to_string()}, {"detail", detail}});
}

void Server::on_refused(const ClientGate& gate, const Error& error) {
  AccessRecord record{gate.stream().client_text()};
  record.id = gate.stream().id().text();
  record.method = "-";
  record.route = "-";
  record.status = status_for(error.reason);
  record.reason = token_of(error.reason);
  record.level = access_level(error.reason);
  record.detail = error.detail;
  environment_.access_log.write(record);
}

void Server::on_gate_closed(ClientGate& gate) {
  const auto it = gates_.find(&gate);
  CHECK(it != gates_.end());
  stop_counting(it->second);
  environment_.reaper.retire(std::move(it->second.gate));
  gates_.erase(it);
  if (pausing_briefly_ && !balance_.is_ahead(environment_.wheel.now_ms())) resume_accepting();
  report_if_drained();
}

void Server::on_accept_error(evconnlistener* /*listener*/, void* htp) {
  // evhtp passes its evhtp_t as the argument; our Listener is the argument of its post-accept
  // callback.
  const void* ours = static_cast<evhtp_t*>(htp)->defaults.post_accept_cbarg;
  Server& server = static_cast<const Listener*>(ours)->server;
  if (server.accept_again_.armed()) return;
  const int error = errno;
  if (server.accept_failure_.may_log(server.environment_.wheel.now_ms())) {
    log::error("accept.failed",
               {{"errno", std::strerror(error)},
                {"hint", "raise the limit of open files, or lower limits.connections"}});
  }
  // The descriptor is free in the next iteration of the event loop, which calls accept() again.
  if ((error == EMFILE || error == ENFILE) && server.close_longest_idle()) return;
  server.pause_accepting();
  server.accept_again_.arm(kAcceptPause);
}

// Disabling the listener also ends libevent's accept loop, which is running when this is called.
// With a time of 0, accepting continues in the next iteration of the event loop.
void Server::pause_briefly(std::chrono::microseconds time) {
  pause_accepting();
  pausing_briefly_ = true;
  const timeval moment{0, time.count()};
  event_add(brief_pause_end_.get(), &moment);
}

void Server::pause_accepting() {
  for (auto& listener : listeners_) evconnlistener_disable(listener->htp->server);
}

void Server::resume_accepting() {
  if (waiting_for_room_ && limits_.is_over() && limits_.others_have_idle()) {
    return pause_briefly(kWaitForRoom);
  }
  stop_waiting_for_room();
  if (pausing_briefly_) event_del(brief_pause_end_.get());
  pausing_briefly_ = false;
  if (accept_again_.armed()) return;
  for (auto& listener : listeners_) evconnlistener_enable(listener->htp->server);
}

void Server::drain() {
  if (draining_) return;
  draining_ = true;
  stop_listening();
  for (auto& [gate, connection] : gates_) gate->drain(environment_.config.drain.idle);
  report_if_drained();
}

// Closes the sockets only: the connections that are left still use their evhtp_t.
void Server::stop_listening() {
  accept_again_.cancel();
  event_del(brief_pause_end_.get());
  pausing_briefly_ = false;
  stop_waiting_for_room();
  for (auto& listener : listeners_) evhtp_unbind_socket(listener->htp.get());
}

void Server::close_all() {
  // First, so that no connection is accepted while the worker is being destroyed.
  stop_listening();
  // close() removes the gate from the map.
  while (!gates_.empty()) gates_.begin()->first->close();
}

void Server::report_if_drained() {
  if (draining_ && gates_.empty()) observer_.on_drained();
}

}  // namespace streamgate
