// The gate in front of libevhtp: reads a client's bytes itself, lets a strict parser judge them
// (worker/request_head_parser.h), and shows evhtp one complete, canonical head at a time, because
// evhtp's own parser corrupts URLs at read boundaries, accepts conflicting framing and answers
// errors with silence. Pipelined requests wait here. What is refused gets an explicit answer and a
// lingering close (RFC 9112 9.6), so that the answer is not lost to a reset.
//
// evhtp owns the connection: accept, request object, keep-alive life, close. One of three files
// that may see <evhtp.h>.
//
// Level 2. One per client connection; lives until evhtp's connection is gone, then retires.
#pragma once

#include <evhtp.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "common/config.h"
#include "common/scoreboard.h"
#include "worker/client_stream.h"
#include "worker/event.h"
#include "worker/reaper.h"
#include "worker/request_head_parser.h"
#include "worker/timer_wheel.h"

namespace streamgate {

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
  // evhtp's callback has one argument for all connections: the gate that is feeding it right now.
  ClientGate* feeding = nullptr;
};

class ClientGate final : public Retirable, private ResponseOwner {
 public:
  // Called from evhtp's post-accept callback. `refuse_with` other than nullopt: every request on
  // this connection is answered with that.
  ClientGate(GateEnvironment& environment, evhtp_connection_t* connection,
             std::optional<Reason> refuse_with);
  ~ClientGate() override;

  ClientStream& stream() { return stream_; }
  const ClientStream& stream() const { return stream_; }
  const SocketAddress& peer() const { return stream_.peer(); }

  // Whether the response that is being written may leave the connection open.
  bool may_keep_alive() const;

  // evhtp's generic callback: its request object for the head that was fed.
  void on_evhtp_request(evhtp_request_t* request);

  // From now on every answer closes its connection; an idle one may still ask within `idle`.
  void drain(std::chrono::milliseconds idle);
  // Closes at once, with a reset if a response is unfinished. The gate retires.
  void close();

 private:
  enum class Phase { reading_head, serving, lingering, closed };

  void on_readable();
  void read_input();
  void take_head();
  void feed_evhtp();
  void refuse(const Error& error);
  void linger();
  void on_deadline();
  void on_input_end();
  void on_response_sent() override;
  void on_response_broken() override;
  void wait_for_next_request();
  void free_connection();

  static void on_bufferevent_write(bufferevent* bev, void* self);
  static void on_bufferevent_event(bufferevent* bev, short what, void* self);
  static evhtp_res on_connection_fini(evhtp_connection_t* connection, void* self);

  GateEnvironment& environment_;
  evhtp_connection_t* connection_;  // evhtp's; null once it is gone
  bufferevent* bev_;                // evhtp's
  bufferevent_data_cb evhtp_read_ = nullptr;
  bufferevent_data_cb evhtp_write_ = nullptr;
  evhtp_request_t* request_ = nullptr;  // evhtp's; from feed to the response's end
  int fd_;

  Phase phase_ = Phase::reading_head;
  std::optional<Reason> refuse_with_;
  std::optional<std::chrono::milliseconds> drain_idle_;  // set: draining
  bool reading_ = false;                                 // read_event_ is added
  bool has_pipelined_ = false;                           // input_ may hold a whole head already
  size_t lingered_bytes_ = 0;
  std::string input_;       // received and not yet part of a request
  std::string head_bytes_;  // of the request being served; its head's views point in here
  RequestHeadParser parser_;
  ClientStream stream_;
  Event read_event_;
  Deadline deadline_;
};

}  // namespace streamgate
