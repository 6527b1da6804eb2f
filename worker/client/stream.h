// The response side of one client connection; an exchange writes its answer to it. A small answer
// leaves with one send() from the caller's memory. There are three ways to send a body:
//
//   write()         takes all bytes and queues those that the socket does not take. A relay calls
//                   room() first, so that none are queued
//   splice_from()   takes as many bytes as the socket does; the others stay in their pipe.
//                   send_file() does the same with a file
//
// A member of ClientGate. An exchange holds a reference from ClientGate::Observer::on_request until
// it calls finish(), cut() or abort(), or until on_client_gone().
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
#include "worker/client/exchange_id.h"
#include "worker/client/socket.h"
#include "worker/http/message.h"
#include "worker/loop/event.h"
#include "worker/loop/rate_watch.h"
#include "worker/loop/timer_wheel.h"

namespace streamgate {

class ClientStream {
 public:
  // Implemented by Exchange.
  class Observer {
   public:
    // After Flow::full: the socket takes bytes again, and nothing is queued.
    virtual void on_client_drained() = 0;
    // client_gone, client_stalled, client_too_slow, or stopping if the worker ends. Do not use the
    // stream any more. Never called from inside one of the stream's own functions.
    virtual void on_client_gone(Reason reason) = 0;

   protected:
    ~Observer() = default;
  };

  // Implemented by ClientGate: how a response ends.
  class Owner {
   public:
    // The kernel has every byte of a complete response.
    virtual void on_response_sent() = 0;
    // The response is incomplete and only a reset shows it, or the client is gone.
    virtual void on_response_broken() = 0;

   protected:
    ~Owner() = default;
  };

  enum class Flow { open, full, gone };

  ClientStream(Owner& owner, TimerWheel& wheel, const ClientConfig& config);

  // Called by the gate. `socket` stays usable until lose().
  void attach(event_base* base, ClientSocket& socket, const SocketAddress& peer);
  // The PROXY protocol names another peer.
  void set_peer(const SocketAddress& peer);
  // The client of this request. Call it after begin().
  void set_client(const SocketAddress& client);
  void begin(const RequestHead& head, const ExchangeId& id, Observer* observer);
  void name_client();        // makes client_text(); does nothing if it is there
  void lose(Reason reason);  // the client is gone: notifies the observer, releases the socket

  // Valid until the response is finished.
  const RequestHead& head() const { return *head_; }
  const ExchangeId& id() const { return *id_; }
  const SocketAddress& peer() const { return peer_; }
  // The address of the client that sent the request; the text is for logs.
  const SocketAddress& client() const { return client_; }
  const std::string& client_text() const { return client_text_; }
  // Bytes given to write(), and bytes that the socket took from pipes. After lose() and
  // count_undelivered(), without those that the client has not acknowledged.
  uint64_t body_bytes_sent() const { return body_bytes_; }
  bool keeps_alive() const { return keep_alive_; }
  bool is_full() const { return full_; }  // from Flow::full to on_client_drained()
  // Call it after Flow::full: the kernel is short of memory for sockets.
  bool was_refused() { return socket_ != nullptr && socket_->was_cut(); }

  void set_observer(Observer& observer) { observer_ = &observer; }

  // Adds X-Streamgate-Id to the head, so that every answer has it.
  //
  // The head waits for the first write(), flush() or finish(), so that it shares a packet with the
  // body. Body bytes are framed as `framing` says; with Kind::none they are dropped. `keep_alive`:
  // the head announces that the connection stays open after the response.
  void send_head(std::string head, const ClientFraming& framing, bool keep_alive);
  // After Flow::full wait for on_client_drained(). Flow::gone: the client has left; call abort().
  Flow write(std::string_view body);
  Flow write(evbuffer* body);  // drains it
  Flow flush();

  // How many bytes the socket takes now. 0 is the same as Flow::full.
  size_t room();
  // Flow::full: the socket took fewer bytes than offered, or none. Offer the others again after
  // on_client_drained().
  struct Taken {
    Flow flow = Flow::open;
    size_t bytes = 0;
  };
  // The pipe holds at least `most` bytes. A head that still waits goes first. Requires can_splice()
  // at the beginning of the response.
  Taken splice_from(int pipe_read_fd, size_t most);
  // The file has at least `most` bytes from `offset` on. They must not change while the socket has
  // them. Otherwise it behaves like splice_from().
  Taken send_file(int fd, uint64_t offset, size_t most);
  // Whether bytes may go from a pipe to the socket unchanged: no TLS, no chunks, nothing queued.
  bool can_splice() const;

  // Ends a complete response. The connection stays open or is closed in order.
  void finish();
  // Ends an incomplete response after the bytes that were written, within the limits for slow
  // clients. Content-Length and chunks show the client that bytes are missing, so the connection is
  // closed in order (RFC 9112 8). If the body ends by close, it is reset once the client has
  // acknowledged all bytes, without close_notify.
  void cut();
  // Ends an incomplete response at once by a reset. Bytes that are still queued are lost.
  void abort();
  // Bytes that the kernel has and the client has not acknowledged, of all responses. A system call
  // only if there were some the last time, or more were sent.
  size_t unacknowledged();
  // Before abort(): subtracts the bytes that the reset will discard from body_bytes_sent().
  void count_undelivered();

 private:
  // How the response ends; under_way before finish() and cut().
  enum class End { under_way, complete, cut };

  Flow begin_unchanged();
  Taken note_taken(const ClientSocket::Moved& moved, size_t most);
  Flow send_end();
  void end();
  void await_delivery();
  Flow write_extents(std::span<const iovec> extents);
  Flow send_parts(std::span<const iovec> parts, ClientSocket::More more = ClientSocket::More::no);
  void queue_unsent(std::span<const iovec> parts, size_t sent);
  bool send_queue();
  Flow wait();
  void run_limits();
  void on_writable();
  void on_stalled();
  void on_rate_window_end();
  int64_t delivered() const {
    return static_cast<int64_t>(taken_) - static_cast<int64_t>(socket_->unacknowledged());
  }
  void count_delivered();
  void give_up(Reason reason);

  Owner& owner_;
  TimerWheel& wheel_;
  const ClientConfig& config_;
  event_base* base_ = nullptr;
  ClientSocket* socket_ = nullptr;  // the gate's; null once the client is lost
  SocketAddress peer_;
  std::string client_text_;                   // empty: not written yet
  SocketAddress client_;                      // as in client_text_
  std::unique_ptr<MemberEvent> writable_;     // made when the socket is first full
  std::unique_ptr<Deadline> delivery_check_;  // made when a reset waits for acknowledgements
  Buffer queue_;                    // bytes that the socket did not take; sent before all others
  uint64_t taken_ = 0;              // bytes the socket has taken, of all responses
  uint64_t all_acknowledged_ = 0;   // `taken_` when unacknowledged() was last 0
  int64_t delivered_at_check_ = 0;  // acknowledged bytes at the last check for a stall
  int64_t delivered_counted_ = 0;   // acknowledged bytes that rate_ has counted

  // State of one response.
  const RequestHead* head_ = nullptr;
  const ExchangeId* id_ = nullptr;
  Observer* observer_ = nullptr;
  std::string held_head_;
  ClientFraming framing_;
  uint64_t body_bytes_ = 0;
  bool head_sent_ = false;
  bool keep_alive_ = false;
  bool full_ = false;  // bytes wait for the client: the time limits run
  End end_ = End::under_way;
  Deadline stall_deadline_;
  RateWatch rate_;  // runs while bytes wait for the client
};

}  // namespace streamgate
