#include "worker/admin/admin_server.h"

#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <chrono>
#include <utility>

#include "worker/admin/admin_access.h"

namespace streamgate {
namespace {

constexpr size_t kMaxConnections = 32;
// Without a pause the worker would spin when no descriptor is left: the listening socket stays
// readable.
constexpr std::chrono::milliseconds kAcceptPause{200};

}  // namespace

AdminServer::AdminServer(event_base* base, const Environment& environment)
    : base_(base),
      environment_(environment),
      gate_environment_{
          .wheel = environment.wheel,
          .client = environment.config.client,
          .limits = environment.config.limits,
          .cors = no_cors(),
          .errors = environment.config.errors,
          .client_address = ClientAddress::peer,
          .trusted_proxies = environment.config.trusted_proxies,
          .takes_exchange_ids = false,
          .observer = *this,
          .counters = environment.slot.counters,
          .intakes = ClientIntakes(environment.config.limits, RequestHeadParser::Bodies::small)},
      pages_({.config = environment.config,
              .scoreboard = environment.scoreboard,
              .slot = environment.slot,
              .wheel = environment.wheel,
              .explain = {.config = environment.config,
                          .fetches = environment.fetches,
                          .scoreboard = environment.scoreboard,
                          .slot = environment.slot,
                          .reaper = environment.reaper},
              .cache = environment.cache}),
      accept_again_(environment.wheel, this, call<&AdminServer::resume_accepting>) {}

AdminServer::~AdminServer() { close_all(); }

Result<void> AdminServer::listen(std::span<const ListenSocket> sockets) {
  for (const ListenSocket& socket : sockets) {
    if (socket.role != ListenRole::admin) continue;
    Evhtp& htp = listeners_.emplace_back(evhtp_new(base_, nullptr));
    if (!htp) return Error{Reason::internal, "evhtp_new failed"};
    evhtp_set_post_accept_cb(htp.get(), &AdminServer::on_accepted, this);
    // Backlog 0: the master has called listen() already. evhtp closes this process's copy.
    if (evhtp_accept_socket(htp.get(), socket.fd, 0) != 0) {
      return Error{Reason::internal, "evhtp_accept_socket failed"};
    }
    evconnlistener_set_error_cb(htp->server, &AdminServer::on_accept_error);
  }
  return {};
}

evhtp_res AdminServer::on_accepted(evhtp_connection_t* connection, void* server) {
  auto& self = *static_cast<AdminServer*>(server);
  if (!self.make_room()) return EVHTP_RES_ERROR;  // evhtp closes it
  const int on = 1;
  ::setsockopt(static_cast<int>(connection->sock), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  auto gate = std::make_unique<ClientGate>(self.gate_environment_, connection, Ssl{},
                                           ClientGate::Preface::none);
  ClientGate* key = gate.get();
  self.gates_.emplace(key, std::move(gate));
  return EVHTP_RES_OK;
}

void AdminServer::on_accept_error(evconnlistener* /*listener*/, void* htp) {
  auto& self = *static_cast<AdminServer*>(static_cast<evhtp_t*>(htp)->defaults.post_accept_cbarg);
  if (self.accept_again_.armed()) return;
  for (const Evhtp& listener : self.listeners_) evconnlistener_disable(listener->server);
  self.accept_again_.arm(kAcceptPause);
}

void AdminServer::resume_accepting() {
  for (const Evhtp& listener : listeners_) evconnlistener_enable(listener->server);
}

// Returns false if every connection is busy.
bool AdminServer::make_room() {
  while (gates_.size() >= kMaxConnections) {
    ClientGate* idle = gate_environment_.idle.longest_idle(environment_.wheel.last_tick_ms());
    if (idle == nullptr) return false;
    idle->close_if_idle();  // a client that has begun to send stays, and is idle no longer
  }
  return true;
}

void AdminServer::on_request(ClientGate& gate) { pages_.answer(gate); }

void AdminServer::on_refused(const ClientGate& /*gate*/, const Error& /*error*/) {
  count(environment_.slot.counters, Counter::admin_requests_refused);
}

void AdminServer::on_gate_closed(ClientGate& gate) {
  const auto it = gates_.find(&gate);
  environment_.reaper.retire(std::move(it->second));
  gates_.erase(it);
}

void AdminServer::drain() {
  if (std::exchange(draining_, true)) return;
  accept_again_.cancel();
  for (const Evhtp& listener : listeners_) evhtp_unbind_socket(listener.get());
  for (auto& [key, gate] : gates_) gate->drain(std::chrono::milliseconds::zero());
}

void AdminServer::close_all() {
  drain();
  while (!gates_.empty()) gates_.begin()->first->close();
}

}  // namespace streamgate
