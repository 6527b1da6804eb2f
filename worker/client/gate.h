// One client connection: reads the client's bytes, parses them strictly
// (worker/http/request_head_parser.h) and passes each request to the observer; pipelined requests
// wait here. A request that is refused gets an answer and a lingering close (RFC 9112 9.6), so that
// a reset does not destroy the answer.
//
// A connection may begin with a PROXY protocol header (worker/client/proxy_header.h), before TLS.
//
// libevhtp accepts the connection, and closes it when the gate frees it. It sees no byte in
// between: its parser corrupts URLs at read boundaries, accepts conflicting framing and closes on
// errors without an answer. Only this module and worker/server include <evhtp.h>.
//
// One per client connection; it retires when the connection is gone. An idle gate is small: it
// borrows the memory for a request (worker/client/intake.h).
#pragma once

#include <evhtp.h>

#include <chrono>
#include <memory>
#include <optional>

#include "common/config.h"
#include "common/counters.h"
#include "worker/client/idle_connections.h"
#include "worker/client/intake.h"
#include "worker/client/socket.h"
#include "worker/client/stream.h"
#include "worker/loop/event.h"
#include "worker/loop/reaper.h"
#include "worker/loop/timer_wheel.h"

namespace streamgate {

using EvhtpConnection = std::unique_ptr<evhtp_connection_t, Freer<evhtp_connection_free>>;

class ClientGate final : public Retirable, private ClientStream::Owner {
 public:
  // Implemented by Server.
  class Observer {
   public:
    // gate.stream().head() is a well-formed request. Call gate.stream().set_observer(), then answer
    // through gate.stream(); the answer may be complete before this call returns.
    virtual void on_request(ClientGate& gate) = 0;
    // The PROXY protocol header is complete, and peer() is the client that it names. The observer
    // may call refuse_requests() or close().
    virtual void on_peer_named(ClientGate& gate) = 0;
    // The PROXY protocol header is missing or malformed: the connection is about to be closed.
    virtual void on_bad_proxy_header(const ClientGate& gate, const Error& error) = 0;
    // The gate has refused a request and answers it itself; for the access log.
    virtual void on_refused(const ClientGate& gate, const Error& error) = 0;
    // The connection is gone: retire the gate.
    virtual void on_gate_closed(ClientGate& gate) = 0;

   protected:
    ~Observer() = default;
  };

  // Shared by all gates of a worker. Outlives them.
  struct Environment {
    TimerWheel& wheel;
    const ClientConfig& client;
    const LimitsConfig& limits;
    const CorsConfig& cors;
    const ErrorsConfig& errors;
    ClientAddress client_address;
    const std::vector<IpRange>& trusted_proxies;
    bool takes_exchange_ids;
    Observer& observer;
    Counters& counters;
    ClientIntakes intakes;
    ExchangeIds ids = ExchangeIds();
    IdleConnections idle = {};
  };

  // The first bytes of a connection.
  enum class Preface { none, proxy_header };

  // Call it from evhtp's post-accept callback. The gate owns `connection` from then on, and removes
  // evhtp's callbacks, which would free it. `ssl` is ready for the handshake, or null for a plain
  // client.
  ClientGate(Environment& environment, evhtp_connection_t* connection, Ssl ssl, Preface preface);
  ~ClientGate() override;

  // The other end of a connection that evhtp has accepted.
  static SocketAddress peer_of(const evhtp_connection_t& connection);

  ClientStream& stream() { return stream_; }
  const ClientStream& stream() const { return stream_; }
  // The other end of the connection, or the client that the PROXY protocol has named.
  const SocketAddress& peer() const { return stream_.peer(); }
  bool is_tls() const { return socket_.is_tls(); }

  // Whether the connection may stay open after the response that is being written.
  bool may_keep_alive() const;

  // Reads no more of the client until the response has been sent. Call it while a request is being
  // answered. A client that leaves is noticed at the response.
  void pause_reading();
  // From now on every answer closes the connection. An idle client may send one more request within
  // `idle`.
  void drain(std::chrono::milliseconds idle);
  // Every request of this connection is refused with that reason: overloaded or rate_limited.
  void refuse_requests(Reason reason);
  // Closes an idle connection to make room for another one. False if it is not idle, because bytes
  // have arrived.
  bool close_if_idle();
  // Sends the refusal, also if no request has arrived, then closes.
  void end_refused();
  // Closes at once; an unfinished response ends with a reset. The gate retires.
  void close();

 private:
  enum class Phase { proxy_header, handshaking, reading_head, serving, lingering, closed };

  void mark(IdleConnections::State state);
  void on_readable();
  bool read_proxy_header();
  bool shake_hands();
  void read_input();
  void take_head();
  bool head_started() const { return intake_ && intake_->parser.started(); }
  void begin_response();
  void return_intake();
  void refuse(const Error& error);
  void linger();
  void wait_to_write();
  void on_writable();
  void on_deadline();
  void on_response_sent() override;
  void on_response_broken() override;
  void wait_for_next_request();
  void watch_input();
  void disconnect();

  Environment& environment_;
  EvhtpConnection connection_;  // null once it is gone
  ClientSocket socket_;
  Phase phase_;
  std::optional<Reason> refuse_with_;
  std::optional<std::chrono::milliseconds> drain_idle_;  // set: draining
  IdleConnections::Entry idle_;
  bool reading_ = false;        // readable_ is added
  bool has_pipelined_ = false;  // the intake may already hold a complete head
  size_t lingered_bytes_ = 0;
  std::unique_ptr<ClientIntake> intake_;  // from a request's first byte to the end of its answer
  ClientStream stream_;
  MemberEvent readable_;
  std::unique_ptr<MemberEvent> writable_;  // made when TLS first must write before it can read
  Deadline deadline_;
};

}  // namespace streamgate
