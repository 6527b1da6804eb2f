// The response side of one client connection: what an exchange writes its answer to. Small answers
// go out with one send() from the caller's memory; only what the socket does not take is queued.
//
// Level 2. A member of ClientGate; an exchange holds a reference from GateObserver::on_request to
// its own finish() or abort(), or to on_client_gone(), whichever comes first.
#pragma once

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <sys/uio.h>

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/result.h"
#include "common/socket_address.h"
#include "worker/forwarding.h"
#include "worker/http_message.h"
#include "worker/timer_wheel.h"

namespace streamgate {

// Implemented by Exchange.
class ClientObserver {
 public:
  // All that was queued is with the kernel: go on. Only after a write() that returned Flow::full.
  virtual void on_client_drained() = 0;
  // client_gone, client_stalled or, where the worker leaves, stopping. The stream may not be
  // touched any more. Never called from inside one of the stream's own functions.
  virtual void on_client_gone(Reason reason) = 0;

 protected:
  ~ClientObserver() = default;
};

// Implemented by ClientGate: how a response ends.
class ResponseOwner {
 public:
  // Every byte of a complete response is with the kernel.
  virtual void on_response_sent() = 0;
  // The connection must be reset, so that the client cannot take what it got for the whole.
  virtual void on_response_broken() = 0;

 protected:
  ~ResponseOwner() = default;
};

class ClientStream {
 public:
  enum class Flow { open, full, gone };

  ClientStream(ResponseOwner& owner, TimerWheel& wheel, std::chrono::milliseconds stall_timeout);

  // Called by the gate. `output` outlives the stream; `fd` is the client's socket.
  void attach(int fd, bufferevent* output, const SocketAddress& peer);
  void begin(const RequestHead& head, ClientObserver* observer);
  void on_output_drained();  // the bufferevent's queue is empty
  void lose(Reason reason);  // tells the observer, once

  // Valid until the response is finished.
  const RequestHead& head() const { return *head_; }
  const SocketAddress& peer() const { return peer_; }
  const std::string& peer_text() const { return peer_text_; }  // for logs
  uint64_t body_bytes_sent() const { return body_bytes_; }
  bool keeps_alive() const { return keep_alive_; }
  bool is_full() const { return full_; }  // a write has returned Flow::full; not drained since

  void set_observer(ClientObserver& observer) { observer_ = &observer; }

  // The head is held back until the first write(), flush() or finish(), to leave in one packet with
  // what follows. Body bytes are framed as `framing` says; with Kind::none they are dropped.
  // `keep_alive` is what the head promised: whether the connection stays open after the response.
  void send_head(std::string head, const ClientFraming& framing, bool keep_alive);
  // After Flow::full wait for on_client_drained(). Flow::gone: the client left; end with abort().
  Flow write(std::string_view body);
  Flow write(evbuffer* body);  // drains it
  Flow flush();
  // Ends a complete response: the connection lives on or is closed in order.
  void finish();
  // Ends a response that is not complete: the client sees a reset, never a clean end.
  void abort();

 private:
  Flow send_end();
  Flow write_extents(std::span<const iovec> extents);
  Flow send_parts(std::span<iovec> parts);
  size_t queue_rest(std::span<const iovec> parts, size_t sent);
  void on_stalled();

  ResponseOwner& owner_;
  std::chrono::milliseconds stall_timeout_;
  int fd_ = -1;
  bufferevent* bev_ = nullptr;  // evhtp's
  SocketAddress peer_;
  std::string peer_text_;

  // State of one response.
  const RequestHead* head_ = nullptr;
  ClientObserver* observer_ = nullptr;
  std::string held_head_;
  ClientFraming framing_;
  uint64_t body_bytes_ = 0;
  size_t queued_at_check_ = 0;  // bytes; progress is judged against it
  bool head_sent_ = false;
  bool keep_alive_ = false;
  bool full_ = false;
  bool finishing_ = false;
  Deadline stall_deadline_;
};

}  // namespace streamgate
