// Accepts clients on the inherited listening sockets, by way of evhtp. Each connection gets a
// ClientGate, and each request that passes the gate becomes an Exchange. One of the two modules
// that may include <evhtp.h>.
//
// One per worker.
#pragma once

#include <evhtp.h>

#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "common/heritage.h"
#include "common/result.h"
#include "worker/client/accept_balance.h"
#include "worker/client/gate.h"
#include "worker/exchange/environment.h"
#include "worker/loop/event.h"

namespace streamgate {

using Evhtp = std::unique_ptr<evhtp_t, Freer<evhtp_free>>;

// NOLINTNEXTLINE(cppcoreguidelines-virtual-class-destructor): final, so nobody deletes it as a base
class Server final : private ClientGate::Observer {
 public:
  // Called when the last connection of a draining server has closed.
  class Observer {
   public:
    virtual void on_drained() = 0;

   protected:
    ~Observer() = default;
  };

  Server(event_base* base, ExchangeEnvironment& environment, const ScoreboardView& scoreboard,
         Observer& observer);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Accepts on these sockets from now on. drain() closes this process's copies of them.
  // tls_failed if a certificate or key cannot be used.
  Result<void> listen(std::span<const ListenSocket> sockets, const TicketKey& ticket_key);

  // Closes the listeners at once. Every answer then closes its connection, and an idle connection
  // may send one more request within drain.idle. Ends with on_drained().
  void drain();
  // Closes the listeners and resets the connections that are left.
  void close_all();

 private:
  void on_request(ClientGate& gate) override;
  void on_refused(const ClientGate& gate, const Error& error) override;
  void on_gate_closed(ClientGate& gate) override;

  // One listening socket in evhtp; the argument of evhtp's callbacks.
  struct Listener {
    Server& server;
    Evhtp htp;
    SslContext tls;  // null: plain
  };

  static evhtp_res on_accepted(evhtp_connection_t* connection, void* argument);
  static void on_accept_error(evconnlistener* listener, void* htp);
  void pause_for_balance();
  void pause_accepting();
  void resume_accepting();
  void stop_listening();
  bool over_limit();
  void report_if_drained();

  event_base* base_;
  ExchangeEnvironment& environment_;
  ScoreboardView scoreboard_;
  Observer& observer_;
  ClientGate::Environment gate_environment_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::unordered_map<ClientGate*, std::unique_ptr<ClientGate>> gates_;
  bool draining_ = false;
  uint64_t connections_elsewhere_ = 0;  // of all other workers, at other_workers_read_ms_
  std::optional<int64_t> accept_failure_logged_ms_;  // CLOCK_MONOTONIC
  int64_t other_workers_read_ms_ = 0;                // CLOCK_MONOTONIC
  Deadline accept_again_;                            // after the process ran out of descriptors
  AcceptBalance balance_;
  bool pausing_for_balance_ = false;
  Event balance_pause_end_;  // not in the wheel: the pause is shorter than its tick
};

}  // namespace streamgate
