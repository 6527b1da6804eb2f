// Accepts clients on the listeners of admin.listen, and lets AdminPages answer their requests. The
// connections of the proxy, limits.connections and the pauses of the proxy's listeners do not
// affect it. A worker keeps at most 32 admin connections. A new one takes the place of the longest
// idle one, and is closed if none is idle.
//
// One per worker.
#pragma once

#include <evhtp.h>

#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "common/heritage.h"
#include "common/result.h"
#include "worker/admin/admin_pages.h"
#include "worker/client/gate.h"
#include "worker/loop/event.h"
#include "worker/loop/reaper.h"
#include "worker/loop/timer_wheel.h"

namespace streamgate {

// NOLINTNEXTLINE(cppcoreguidelines-virtual-class-destructor): final, so nobody deletes it as a base
class AdminServer final : private ClientGate::Observer {
 public:
  struct Environment {
    const Config& config;
    const ScoreboardView& scoreboard;
    Slot& slot;
    TimerWheel& wheel;
    Reaper& reaper;
    FetchEnvironment& fetches;
    Cache* cache;  // null: off
  };

  AdminServer(event_base* base, const Environment& environment);
  ~AdminServer();
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  // Accepts on those of these sockets that have the role admin. drain() closes this process's
  // copies of them.
  Result<void> listen(std::span<const ListenSocket> sockets);
  // Closes the listeners and the idle connections. A client that connects again reaches a worker
  // that does not drain, so the counters that it reads do not fall.
  void drain();
  void close_all();

 private:
  using Evhtp = std::unique_ptr<evhtp_t, Freer<evhtp_free>>;

  void on_request(ClientGate& gate) override;
  void on_peer_named(ClientGate&) override {}
  void on_bad_proxy_header(const ClientGate&, const Error&) override {}
  void on_refused(const ClientGate& gate, const Error& error) override;
  void on_gate_closed(ClientGate& gate) override;

  static evhtp_res on_accepted(evhtp_connection_t* connection, void* server);
  static void on_accept_error(evconnlistener* listener, void* htp);
  bool make_room();
  void resume_accepting();

  event_base* base_;
  Environment environment_;
  ClientGate::Environment gate_environment_;
  AdminPages pages_;
  std::vector<Evhtp> listeners_;
  std::unordered_map<ClientGate*, std::unique_ptr<ClientGate>> gates_;
  bool draining_ = false;
  Deadline accept_again_;  // accepting continues, after the process ran out of descriptors
};

}  // namespace streamgate
