#include "worker/server.h"

#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "common/log.h"
#include "worker/client/tls_server.h"
#include "worker/exchange/exchange.h"

namespace streamgate {
namespace {

// How long accepting pauses when the process has no descriptor left. Without a pause the worker
// would spin: the listening socket stays readable.
constexpr std::chrono::milliseconds kAcceptPause{200};
constexpr std::chrono::milliseconds kAcceptLogInterval{10'000};
constexpr std::chrono::milliseconds kReadOtherWorkersEvery{100};

}  // namespace

Server::Server(event_base* base, ExchangeEnvironment& environment, const ScoreboardView& scoreboard,
               Observer& observer)
    : base_(base),
      environment_(environment),
      scoreboard_(scoreboard),
      observer_(observer),
      gate_environment_{environment.wheel,
                        environment.config.client,
                        environment.config.limits,
                        environment.config.cors,
                        *this,
                        environment.slot.counters,
                        ClientIntakes(environment.config.limits)},
      accept_again_(environment.wheel, this, call<&Server::resume_accepting>),
      balance_(scoreboard, environment.slot),
      balance_pause_end_(event_new(base, -1, 0, callback<&Server::resume_accepting>, this)) {
  CHECK(balance_pause_end_);
  // glibc's calloc does not use the thread's cache. If libevent is given malloc explicitly, it
  // calls malloc and memset instead of calloc. evhtp_set_mem_functions does not help: evhtp
  // compares its argument with malloc and goes on with calloc.
  event_set_mem_functions(std::malloc, std::realloc, std::free);
}

Server::~Server() { close_all(); }

Result<void> Server::listen(std::span<const ListenSocket> sockets, const TicketKey& ticket_key) {
  for (const ListenSocket& socket : sockets) {
    auto listener = std::make_unique<Listener>(Listener{*this, {}, {}});
    if (socket.tls) {
      auto context = make_server_context(*socket.tls, ticket_key);
      if (!context) return context.error();
      listener->tls = *std::move(context);
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

evhtp_res Server::on_accepted(evhtp_connection_t* connection, void* argument) {
  const auto& listener = *static_cast<const Listener*>(argument);
  Server& server = listener.server;
  Ssl ssl;
  if (listener.tls) {
    ssl = make_server_tls(*listener.tls, static_cast<int>(connection->sock));
    if (!ssl) return EVHTP_RES_ERROR;  // evhtp closes it
  }
  // Small answers leave at once. For a Unix socket the call fails, without consequence.
  const int on = 1;
  ::setsockopt(connection->sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  Slot& slot = server.environment_.slot;
  count(slot.counters, Counter::connections_accepted);
  count(slot.connections_now);
  std::optional<Reason> refuse_with;
  if (server.over_limit()) {
    count(slot.counters, Counter::connections_refused);
    refuse_with = Reason::overloaded;
  }
  auto gate = std::make_unique<ClientGate>(server.gate_environment_, connection, std::move(ssl),
                                           refuse_with);
  if (server.draining_) gate->drain(server.environment_.config.drain.idle);
  ClientGate* key = gate.get();
  server.gates_.emplace(key, std::move(gate));
  if (server.balance_.wants_pause(server.environment_.wheel.now_ms())) server.pause_for_balance();
  return EVHTP_RES_OK;
}

void Server::on_request(ClientGate& gate) {
  environment_.exchanges.add(std::make_unique<Exchange>(environment_, gate)).start();
}

void Server::on_refused(const ClientGate& gate, const Error& error) {
  AccessRecord record{gate.stream().peer_text()};
  record.method = "-";
  record.route = "-";
  record.status = status_for(error.reason);
  record.reason = token_of(error.reason);
  record.detail = error.detail;
  environment_.access_log.write(record);
}

void Server::on_gate_closed(ClientGate& gate) {
  const auto it = gates_.find(&gate);
  CHECK(it != gates_.end());
  environment_.reaper.retire(std::move(it->second));
  gates_.erase(it);
  count_down(environment_.slot.connections_now);
  if (pausing_for_balance_ && !balance_.is_ahead(environment_.wheel.now_ms())) resume_accepting();
  report_if_drained();
}

// The limit holds over all workers. The scoreboard has hundreds of slots, so the counts of the
// other workers are read every 100 ms and not for each connection.
bool Server::over_limit() {
  const int64_t now_ms = environment_.wheel.now_ms();
  if (now_ms - other_workers_read_ms_ >= kReadOtherWorkersEvery.count()) {
    other_workers_read_ms_ = now_ms;
    connections_elsewhere_ = 0;
    for (size_t i = 0; i < scoreboard_.slot_count(); ++i) {
      const Slot& slot = scoreboard_.columns[i].slot;
      if (scoreboard_.is_live(i) && &slot != &environment_.slot) {
        connections_elsewhere_ += slot.connections_now.load(std::memory_order_relaxed);
      }
    }
  }
  return connections_elsewhere_ +
             environment_.slot.connections_now.load(std::memory_order_relaxed) >
         environment_.config.limits.connections;
}

void Server::on_accept_error(evconnlistener* /*listener*/, void* htp) {
  // evhtp passes its evhtp_t as the argument; our Listener is the argument of its post-accept
  // callback.
  const void* ours = static_cast<evhtp_t*>(htp)->defaults.post_accept_cbarg;
  Server& server = static_cast<const Listener*>(ours)->server;
  if (server.accept_again_.armed()) return;
  const int64_t now_ms = server.environment_.wheel.now_ms();
  auto& logged_ms = server.accept_failure_logged_ms_;
  if (!logged_ms || now_ms - *logged_ms >= kAcceptLogInterval.count()) {
    logged_ms = now_ms;
    log::error("accept.failed",
               {{"errno", std::strerror(errno)},
                {"hint", "raise the limit of open files, or lower limits.connections"}});
  }
  server.pause_accepting();
  server.accept_again_.arm(kAcceptPause);
}

// Disabling the listener also ends libevent's accept loop, which is running when this is called.
void Server::pause_for_balance() {
  pause_accepting();
  pausing_for_balance_ = true;
  const timeval moment{0, std::chrono::microseconds(AcceptBalance::kPause).count()};
  event_add(balance_pause_end_.get(), &moment);
}

void Server::pause_accepting() {
  for (auto& listener : listeners_) evconnlistener_disable(listener->htp->server);
}

void Server::resume_accepting() {
  if (pausing_for_balance_) event_del(balance_pause_end_.get());
  pausing_for_balance_ = false;
  if (accept_again_.armed()) return;
  for (auto& listener : listeners_) evconnlistener_enable(listener->htp->server);
}

void Server::drain() {
  if (draining_) return;
  draining_ = true;
  stop_listening();
  for (auto& [key, gate] : gates_) gate->drain(environment_.config.drain.idle);
  report_if_drained();
}

// Closes the sockets only: the connections that are left still use their evhtp_t.
void Server::stop_listening() {
  accept_again_.cancel();
  event_del(balance_pause_end_.get());
  pausing_for_balance_ = false;
  for (auto& listener : listeners_) evhtp_unbind_socket(listener->htp.get());
}

void Server::close_all() {
  // First, so that no connection is accepted while the worker is being destroyed.
  stop_listening();
  // close() removes the gate from the map.
  while (!gates_.empty()) gates_.begin()->second->close();
}

void Server::report_if_drained() {
  if (draining_ && gates_.empty()) observer_.on_drained();
}

}  // namespace streamgate
