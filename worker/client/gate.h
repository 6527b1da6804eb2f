// One client connection: reads the client's bytes, lets a strict parser judge them
// (worker/http/request_head_parser.h) and hands each request up; pipelined ones wait here. What is
// refused gets an explicit answer and a lingering close (RFC 9112 9.6), so that the answer is not
// lost to a reset.
//
// libevhtp accepts the connection and closes it when the gate says so; in between it sees nothing,
// because its parser corrupts URLs at read boundaries, accepts conflicting framing and answers
// errors with silence. One of two modules that may see <evhtp.h>.
//
// One per client connection; lives until the connection is gone, then retires. While idle
// it is small: what a request needs is lent to it (worker/client/intake.h).
#pragma once

#include <evhtp.h>

#include <chrono>
#include <memory>
#include <optional>

#include "common/config.h"
#include "common/scoreboard.h"
#include "worker/client/intake.h"
#include "worker/client/socket.h"
#include "worker/client/stream.h"
#include "worker/loop/event.h"
#include "worker/loop/reaper.h"
#include "worker/loop/timer_wheel.h"

namespace streamgate {

using EvhtpConnection = std::unique_ptr<evhtp_connection_t, Freer<evhtp_connection_free>>;

class ClientGate;

// Implemented by Server.
class GateObserver {
 public:
  // A well-formed request is in gate.stream().head(); the answer goes to gate.stream(), after
  // gate.stream().set_observer(). May answer before it returns.
  virtual void on_request(ClientGate& gate) = 0;
  // A request was refused here, for the access log.
  virtual void on_refused(const ClientGate& gate, const Error& error) = 0;
  // The connection is gone: the gate wants to be retired.
  virtual void on_gate_closed(ClientGate& gate) = 0;

 protected:
  ~GateObserver() = default;
};

// What all gates of a worker share.
struct GateEnvironment {
  TimerWheel& wheel;
  const ClientConfig& client;
  const LimitsConfig& limits;
  const CorsConfig& cors;
  GateObserver& observer;
  Counters& counters;
  ClientIntakes intakes;
};

class ClientGate final : public Retirable, private ResponseOwner {
 public:
  // Called from evhtp's post-accept callback; owns the connection from then on, because none of
  // evhtp's own callbacks, which free it, is left in place. `ssl`: ready for the handshake, or null
  // for a plain client. `refuse_with` other than nullopt: every request on this connection is
  // answered with that.
  ClientGate(GateEnvironment& environment, evhtp_connection_t* connection, Ssl ssl,
             std::optional<Reason> refuse_with);
  ~ClientGate() override;

  ClientStream& stream() { return stream_; }
  const ClientStream& stream() const { return stream_; }
  const SocketAddress& peer() const { return stream_.peer(); }
  bool is_tls() const { return socket_.is_tls(); }

  // Whether the response that is being written may leave the connection open.
  bool may_keep_alive() const;

  // From now on every answer closes its connection; an idle one may still ask within `idle`.
  void drain(std::chrono::milliseconds idle);
  // Closes at once, with a reset if a response is unfinished. The gate retires.
  void close();

 private:
  enum class Phase { handshaking, reading_head, serving, lingering, closed };

  void on_readable();
  bool shake_hands();
  void read_input();
  void take_head();
  bool head_started() const { return intake_ && intake_->parser.started(); }
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

  GateEnvironment& environment_;
  EvhtpConnection connection_;  // null once it is gone
  ClientSocket socket_;
  Phase phase_;
  std::optional<Reason> refuse_with_;
  std::optional<std::chrono::milliseconds> drain_idle_;  // set: draining
  bool reading_ = false;                                 // readable_ is added
  bool has_pipelined_ = false;                           // the intake may hold a whole head already
  size_t lingered_bytes_ = 0;
  std::unique_ptr<ClientIntake> intake_;  // lent from a request's first byte to its answer's end
  ClientStream stream_;
  MemberEvent readable_;
  std::unique_ptr<MemberEvent> writable_;  // made when TLS first has to write before it reads
  Deadline deadline_;
};

}  // namespace streamgate
