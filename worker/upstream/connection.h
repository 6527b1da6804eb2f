// One connection to an origin: a socket, one request at a time, the response through ResponseParser
// to its Observer. Not a bufferevent, because libevent 2.1 reads at most 4 KiB at a time: it reads
// into the worker's scratch buffer instead. A body that is relayed unchanged is read only as far as
// its BodySink has room, and goes through a pipe, or into the memory of the sink, where that is
// possible.
//
// Owned by UpstreamPool; an exchange borrows it between acquire() and give_back().
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/config.h"
#include "common/counters.h"
#include "common/result.h"
#include "worker/http/message.h"
#include "worker/http/response_parser.h"
#include "worker/loop/event.h"
#include "worker/loop/pipe.h"
#include "worker/loop/rate_watch.h"
#include "worker/loop/reaper.h"
#include "worker/loop/request_note.h"
#include "worker/loop/socket_memory.h"
#include "worker/loop/timer_wheel.h"
#include "worker/upstream/receive_window.h"
#include "worker/upstream/socket.h"

namespace streamgate {

// Takes a body that is relayed unchanged, at the speed of its client. Implemented by BodyRelay and
// OwnedObject.
class BodySink {
 public:
  // How many bytes the sink takes now without queueing any. 0: nothing is read until resume(), and
  // the sink has arranged that resume() is called.
  virtual size_t room() = 0;
  // Returns an empty pipe for some of the `left` remaining bytes of the body (UINT64_MAX: until
  // close). Null: the bytes go through memory and on_body(). The connection uses the pipe before it
  // returns to the event loop, or not at all.
  virtual Pipe* borrow_pipe(uint64_t left) = 0;
  // The pipe of borrow_pipe() holds bytes of the body. If it is not empty on return, the sink has
  // paused the connection and keeps the pipe.
  virtual void on_piped() = 0;
  // Memory for the next bytes of the body. Empty: they go to on_body().
  virtual std::span<char> memory() { return {}; }
  // `bytes` bytes of the body have been written to the beginning of memory(). May not end the loan.
  virtual void on_stored(size_t /*bytes*/) {}

 protected:
  ~BodySink() = default;
};

class UpstreamConnection : public Retirable {
 public:
  // Receives one response; implemented by Fetch. Order of calls: on_head once, on_body any number
  // of times, then on_end or on_upstream_error. on_read_done follows the last piece of each read,
  // unless on_end came with it. No call follows on_end, on_upstream_error or the end of the loan.
  // Any of these calls may end the loan.
  class Observer {
   public:
    virtual void on_head(const ResponseHead& head) = 0;
    // `bytes` is only valid during the call.
    virtual void on_body(std::string_view bytes) = 0;
    virtual void on_read_done() = 0;
    virtual void on_end() = 0;
    // on_fresh_connection: the connection had served a request before and ended before the first
    // byte of this response.
    enum class Retry { no, on_fresh_connection };
    virtual void on_upstream_error(Error error, Retry retry) = 0;

   protected:
    ~Observer() = default;
  };

  // Shared by all connections of a worker. Outlives them.
  struct Tools {
    event_base* base;
    TimerWheel& wheel;
    const SocketMemory& socket_memory;
    const UpstreamConfig& config;
    Counters& counters;
    std::span<char> scratch;  // for every read of every connection
  };

  // Implemented by UpstreamPool.
  class Keeper {
   public:
    // The upstream closed an idle connection, or sent bytes without a request: destroy it.
    virtual void on_idle_ended(UpstreamConnection& connection) = 0;

   protected:
    ~Keeper() = default;
  };

  // `socket` is open, its handshake done. The connection begins idle.
  UpstreamConnection(const Tools& tools, Keeper& keeper, UpstreamSocket socket);
  ~UpstreamConnection() override;

  // Sends a complete request head; the response goes to `observer` until the loan ends. Once per
  // loan.
  void send_request(std::string request, Method method, Observer& observer);

  // Before send_request(): the upstream may hold the response of this loan, so the limit for its
  // head is blocking_timeout.
  void expect_held_response() { is_held_ = true; }

  // Back-pressure. While paused, nothing is read and no timeout runs. Bytes that were read before
  // (one read at most) are kept and handed on after resume(), from the event loop. Either call may
  // be repeated.
  void pause();
  void resume();

  // From now on the body of this response is read only as far as `sink` has room for it.
  void relay_into(BodySink& sink);

  bool reused() const { return reused_; }  // has served a request before this loan

  // For the pool. can_be_lent(): an idle connection has neither ended nor received bytes; a system
  // call, because the event loop reports only what came before its turn began. close() ends
  // everything but the object itself, which the caller retires.
  bool can_be_lent();
  void begin_loan();
  void end_loan();
  void close();
  bool is_on_loan() const { return step_ != Step::idle && step_ != Step::closed; }
  // The response is complete and the connection may serve another one.
  bool can_be_kept() const { return step_ == Step::complete && clean_; }
  const UpstreamSocket& socket() const { return socket_; }

 private:
  enum class Step { idle, on_loan, awaiting_head, relaying_body, complete, broken, closed };
  using ReadEnd = UpstreamSocket::ReadEnd;
  enum class GoOn { yes, no };

  void on_readable();
  void on_writable();
  void on_later();
  void on_deadline();

  void flush_request();
  bool is_request_sent() const { return sent_ == request_.size(); }
  void wait_to_write();

  bool is_receiving() const;
  void receive();
  std::optional<size_t> receive_some(size_t most);
  std::optional<size_t> receive_body(size_t most);
  std::optional<size_t> receive_into(Pipe& pipe, size_t most);
  std::optional<size_t> receive_into(std::span<char> memory);
  Pipe* pipe_for_body();
  size_t bytes_to_read();
  void count_received(size_t bytes);
  GoOn feed(std::string_view bytes);
  GoOn hand_on(const ResponseParser::Item& item, std::string_view rest);
  void hold(std::string_view bytes);
  GoOn feed_held();
  void handle_end(ReadEnd end);

  void complete(bool clean);
  void fail(Error error);
  void check_idle();
  void on_rate_window_end();

  void start_reading();
  void stop_reading();
  void run_later();
  void arm_deadline();

  const Tools& tools_;
  Keeper& keeper_;
  UpstreamSocket socket_;
  ReceiveWindow window_;
  Event readable_;  // level-triggered and persistent; removed only while nothing may be read
  Event writable_;  // made for the first request that the socket does not take at once
  Event later_;     // continues with bytes for which the socket will not become readable
  Deadline deadline_;
  RateWatch rate_;  // of the body, except during pauses
  Step step_ = Step::idle;
  // Counts loans, so that the caller of a callback sees that its loan has ended.
  uint64_t loan_ = 0;
  Observer* observer_ = nullptr;
  const RequestNote* note_ = nullptr;  // of the request that the loan is for
  BodySink* sink_ = nullptr;
  ResponseParser parser_;
  std::string request_;
  size_t sent_ = 0;
  std::string held_;      // was read before a pause and is not handed on yet; at most one read
  bool holding_ = false;  // held_ (perhaps empty) must go through the parser before the next read
  std::optional<ReadEnd> pending_end_;  // comes after held_
  bool paused_ = false;
  bool is_held_ = false;  // expect_held_response()
  bool reading_ = false;  // readable_ is added
  bool reused_ = false;
  bool served_ = false;
  bool clean_ = false;  // the complete response leaves the connection fit for another request
};

}  // namespace streamgate
