// The response side of one client connection: what an exchange writes its answer to. Small answers
// go out with one send() from the caller's memory. There are two ways to send a body:
//
//   write()         takes all of it: what the socket does not take is queued here. A relay asks
//                   room() first, so that nothing is
//   splice_from()   takes what the socket takes now; the rest stays in its pipe
//
// A member of ClientGate; an exchange holds a reference from GateObserver::on_request to
// its own finish() or abort(), or to on_client_gone(), whichever comes first.
#pragma once

#include <event2/buffer.h>
#include <sys/uio.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/config.h"
#include "common/result.h"
#include "common/socket_address.h"
#include "worker/client/socket.h"
#include "worker/http/message.h"
#include "worker/loop/event.h"
#include "worker/loop/rate_watch.h"
#include "worker/loop/timer_wheel.h"

namespace streamgate {

// Implemented by Exchange.
class ClientObserver {
 public:
  // The socket takes bytes again, and nothing is queued: go on. Only after Flow::full.
  virtual void on_client_drained() = 0;
  // client_gone, client_stalled, client_too_slow or, where the worker leaves, stopping. The stream
  // may not be touched any more. Never called from inside one of the stream's own functions.
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

  ClientStream(ResponseOwner& owner, TimerWheel& wheel, const ClientConfig& config);

  // Called by the gate. `socket` stays usable until lose().
  void attach(event_base* base, ClientSocket& socket, const SocketAddress& peer);
  void begin(const RequestHead& head, ClientObserver* observer);
  void lose(Reason reason);  // tells the observer, once; the socket is not touched any more

  // Valid until the response is finished.
  const RequestHead& head() const { return *head_; }
  const SocketAddress& peer() const { return peer_; }
  const std::string& peer_text() const { return peer_text_; }  // for logs
  // What write() was given, and what the socket took from pipes.
  uint64_t body_bytes_sent() const { return body_bytes_; }
  bool keeps_alive() const { return keep_alive_; }
  bool is_full() const { return full_; }  // Flow::full was returned; not drained since

  void set_observer(ClientObserver& observer) { observer_ = &observer; }

  // The head is held back until the first write(), flush() or finish(), to leave in one packet with
  // what follows. Body bytes are framed as `framing` says; with Kind::none they are dropped.
  // `keep_alive` is what the head promised: whether the connection stays open after the response.
  void send_head(std::string head, const ClientFraming& framing, bool keep_alive);
  // After Flow::full wait for on_client_drained(). Flow::gone: the client left; end with abort().
  Flow write(std::string_view body);
  Flow write(evbuffer* body);  // drains it
  Flow flush();

  // How many bytes the socket will take now; 0: none to speak of, as after Flow::full.
  size_t room();
  // Flow::full: it took fewer bytes than offered (or none), and the rest is to be offered again
  // after on_client_drained().
  struct Taken {
    Flow flow = Flow::open;
    size_t bytes = 0;
  };
  // The pipe holds at least `most` bytes. A head that is still held goes first. Requires
  // can_splice() when the response began.
  Taken splice_from(int pipe_read_fd, size_t most);
  // Whether bytes may go from a pipe to the socket as they are: nothing between us and the socket,
  // no framing around pieces, nothing queued.
  bool can_splice() const;

  // Ends a complete response: the connection lives on or is closed in order.
  void finish();
  // Ends a response that is not complete: the client sees a reset, never a clean end.
  void abort();

 private:
  Flow send_end();
  Flow write_extents(std::span<const iovec> extents);
  Flow send_parts(std::span<const iovec> parts, ClientSocket::More more = ClientSocket::More::no);
  void queue_rest(std::span<const iovec> parts, size_t sent);
  bool send_queue();
  Flow wait();
  void on_writable();
  void on_stalled();
  void on_rate_window_end();
  int64_t delivered() const {
    return static_cast<int64_t>(taken_) - static_cast<int64_t>(socket_->unacknowledged());
  }
  void count_delivered();
  void give_up(Reason reason);

  ResponseOwner& owner_;
  const ClientConfig& config_;
  event_base* base_ = nullptr;
  ClientSocket* socket_ = nullptr;  // the gate's; null once the client is lost
  SocketAddress peer_;
  std::string peer_text_;
  // Both made for the first client that is too slow for us.
  std::unique_ptr<MemberEvent> writable_;
  Buffer queue_;                    // what a write left over; goes before anything else
  uint64_t taken_ = 0;              // bytes the socket has taken, of all responses
  int64_t delivered_at_check_ = 0;  // of those, acknowledged; a stall is judged against it
  int64_t delivered_counted_ = 0;   // by rate_

  // State of one response.
  const RequestHead* head_ = nullptr;
  ClientObserver* observer_ = nullptr;
  std::string held_head_;
  ClientFraming framing_;
  uint64_t body_bytes_ = 0;
  bool head_sent_ = false;
  bool keep_alive_ = false;
  bool full_ = false;  // writable_ is added
  bool finishing_ = false;
  Deadline stall_deadline_;
  RateWatch rate_;  // while something waits for the client
};

}  // namespace streamgate
