// Accepts clients on the inherited listening sockets, by way of evhtp. Each connection gets a
// ClientGate, and each request that passes the gate becomes an Exchange. One of the two modules
// that may include <evhtp.h>.
//
// At limits.connections, and when few descriptors are left, a new connection takes the place of the
// longest idle one of this worker. If only other workers have idle connections, each of them closes
// some within 0.2 s; this worker accepts one connection and waits for that. A connection is refused
// only if none is idle. A worker keeps one refused connection at a time, so that the limit holds to
// within one connection per worker. Beyond a RefusalBudget, refused connections are closed without
// an answer.
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
#include "worker/client/connection_limits.h"
#include "worker/client/gate.h"
#include "worker/client/refusal_budget.h"
#include "worker/exchange/environment.h"
#include "worker/loop/event.h"
#include "worker/loop/work_queue.h"

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

  // `own` is one of the columns of `scoreboard`.
  Server(event_base* base, ExchangeEnvironment& environment, const ScoreboardView& scoreboard,
         Column& own, Observer& observer);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Accepts on those of these sockets that serve the proxy, from now on. drain() closes this
  // process's copies of them. tls_failed if a certificate or key cannot be used.
  Result<void> listen(std::span<const ListenSocket> sockets, const TicketKey& ticket_key);

  // Closes the listeners at once. Every answer then closes its connection, and an idle connection
  // may send one more request within drain.idle. Ends with on_drained().
  void drain();
  // Closes the listeners and resets the connections that are left.
  void close_all();

 private:
  void on_request(ClientGate& gate) override;
  void on_peer_named(ClientGate& gate) override;
  void on_bad_proxy_header(const ClientGate& gate, const Error& error) override;
  void on_refused(const ClientGate& gate, const Error& error) override;
  void on_gate_closed(ClientGate& gate) override;

  struct Connection {
    std::unique_ptr<ClientGate> gate;
    std::optional<uint32_t> client_row;  // in ConnectionLimits
    bool is_counted = true;              // refused connections are not
  };

  // One listening socket in evhtp; the argument of evhtp's callbacks.
  struct Listener {
    Server& server;
    Evhtp htp;
    SslContext tls;  // null: plain
    ClientGate::Preface preface = ClientGate::Preface::none;
  };

  // When a log event that is written at most once in 10 s was last written.
  struct LogPause {
    std::optional<int64_t> logged_ms;  // CLOCK_MONOTONIC

    bool may_log(int64_t now_ms);
  };

  void note_certificate(int64_t expiry);
  static evhtp_res on_accepted(evhtp_connection_t* connection, void* argument);
  static void on_accept_error(evconnlistener* listener, void* htp);
  void pause_briefly(std::chrono::microseconds time);
  void pause_accepting();
  void resume_accepting();
  void stop_listening();
  bool take(const Listener& listener, evhtp_connection_t* connection);
  std::optional<Reason> refusal_of(const Connection& connection, const SocketAddress& peer, int fd);
  ClientGate& add_gate(const Listener& listener, evhtp_connection_t* connection, Ssl ssl,
                       Connection taken);
  bool make_room(int fd);
  bool close_longest_idle();
  void share_room();
  void publish_idle();
  void count_bytes_in_sockets();
  void wait_for_room();
  void stop_waiting_for_room();
  void log_bad_proxy_header(const SocketAddress& peer, const std::string& detail);
  bool may_answer_refused(Reason reason);
  void refuse(ClientGate& gate, Reason reason);
  void stop_counting(Connection& connection);
  void report_if_drained();

  event_base* base_;
  ExchangeEnvironment& environment_;
  Observer& observer_;
  ClientGate::Environment gate_environment_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::unordered_map<ClientGate*, Connection> gates_;
  bool draining_ = false;
  ConnectionLimits limits_;
  int descriptors_short_at_;  // a new descriptor with this number or more: few are left
  RefusalBudget refused_connections_;
  LogPause accept_failure_;
  LogPause bad_proxy_header_;
  Deadline accept_again_;  // accepting continues, after the process ran out of descriptors
  AcceptBalance balance_;
  Deadline room_check_;  // each 100 ms
  // The bytes in the sockets of all clients, and how far they are counted.
  struct SocketCount {
    uint64_t bytes = 0;
    size_t next_bucket = 0;  // of gates_
  };
  SocketCount socket_count_;
  WorkQueue::Task next_count_;
  Deadline socket_check_;
  bool pausing_briefly_ = false;
  unsigned accepts_ = 0;           // without a pause
  bool waiting_for_room_ = false;  // pausing until another worker has closed idle connections
  Event brief_pause_end_;          // not in the wheel: the pause is shorter than its tick
};

}  // namespace streamgate
