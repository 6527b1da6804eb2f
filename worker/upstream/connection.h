// One connection to an origin: an fd (and an SSL), one request at a time, large reads of our own
// into the worker's scratch buffer (libevent 2.1 would read 4 KiB at most), bytes -> ResponseParser
// -> ResponseHandler. Not a bufferevent, for that reason. A body that is relayed unchanged is read
// only as far as its BodySink has room, and where possible it goes into a pipe instead.
//
// Owned by UpstreamPool; an exchange holds it on loan between acquire() and give_back().
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/config.h"
#include "common/result.h"
#include "common/scoreboard.h"
#include "common/unique_fd.h"
#include "worker/http/message.h"
#include "worker/http/response_parser.h"
#include "worker/loop/event.h"
#include "worker/loop/openssl.h"
#include "worker/loop/pipe.h"
#include "worker/loop/rate_watch.h"
#include "worker/loop/reaper.h"
#include "worker/loop/timer_wheel.h"

namespace streamgate {

// Implemented by Exchange. Order: on_head once, on_body any number of times, then on_end or
// on_upstream_error; on_read_done after all the pieces of one read, unless on_end came with them.
// After on_end, on_upstream_error, or the loan's end nothing more comes. Any of these calls may end
// the loan.
class ResponseHandler {
 public:
  virtual void on_head(const ResponseHead& head) = 0;
  // `bytes` is only valid during the call.
  virtual void on_body(std::string_view bytes) = 0;
  virtual void on_read_done() = 0;
  virtual void on_end() = 0;
  // `on_fresh_connection`: the connection came from the pool and died before a byte came.
  enum class Retry { no, on_fresh_connection };
  virtual void on_upstream_error(Error error, Retry retry) = 0;

 protected:
  ~ResponseHandler() = default;
};

// Takes a body that is relayed unchanged, no faster than its client does. Implemented by Exchange.
class BodySink {
 public:
  // How many bytes may be read now without any being left over. 0: nothing is read until resume();
  // the sink has seen to it that somebody will call that.
  virtual size_t room() = 0;
  // An empty pipe for some of the `left` bytes that are still to come (UINT64_MAX: until close), or
  // null: they come through memory and on_body(). It is used at once or not at all.
  virtual Pipe* lend_pipe(uint64_t left) = 0;
  // The pipe that was lent holds bytes of the body. What it still holds on return is the sink's,
  // who then has paused the connection.
  virtual void on_piped() = 0;

 protected:
  ~BodySink() = default;
};

class UpstreamConnection : public Retirable {
 public:
  // What all connections of a worker share. Outlives them.
  struct Tools {
    event_base* base;
    TimerWheel& wheel;
    const UpstreamConfig& config;
    Counters& counters;
    std::span<char> scratch;  // every read of every connection goes through here
  };

  // Implemented by UpstreamPool.
  class Keeper {
   public:
    // An idle connection was closed by its peer, or its peer spoke out of turn: destroy it.
    virtual void on_idle_ended(UpstreamConnection& connection) = 0;

   protected:
    ~Keeper() = default;
  };

  // Connected, `ssl` (may be null) past its handshake. Begins idle.
  UpstreamConnection(const Tools& tools, Keeper& keeper, UniqueFd fd, Ssl ssl);
  ~UpstreamConnection() override;

  // Sends a whole request head; the response goes to `handler` until the loan ends. Once per loan.
  void send_request(std::string request, Method method, ResponseHandler& handler);

  // Back-pressure. While paused, nothing is read and no timeout runs. Bytes that were read before
  // (one read at most) are kept and handed on after resume(), from the event loop. Either call may
  // be repeated.
  void pause();
  void resume();

  // From now on the body of this response is read as `sink` has room for it.
  void relay_into(BodySink& sink) { sink_ = &sink; }

  bool reused() const { return reused_; }  // has served a request before this loan

  // For the pool. close() ends everything but the object itself, which its caller retires.
  void begin_loan();
  void end_loan();
  void close();
  bool is_on_loan() const { return step_ != Step::idle && step_ != Step::closed; }
  // The response is complete and the connection may serve another one.
  bool can_be_kept() const { return step_ == Step::complete && clean_; }
  SSL* tls() const { return ssl_.get(); }

 private:
  enum class Step { idle, lent, awaiting_head, relaying_body, complete, broken, closed };
  enum class ReadEnd { full, drained, closed, truncated, failed };
  struct ReadOutcome {
    size_t size;
    ReadEnd end;
  };
  enum class GoOn { yes, no };

  void on_readable();
  void on_writable();
  void on_later();
  void on_deadline();

  void flush_request();
  bool is_request_sent() const { return sent_ == request_.size(); }
  ssize_t write_some(std::string_view bytes);

  bool is_receiving() const;
  void receive();
  GoOn receive_some(size_t most, size_t& received);
  GoOn receive_into(Pipe& pipe, size_t most, size_t& received);
  Pipe* pipe_for_body();
  size_t most_to_read();
  void count_received(size_t bytes);
  ReadOutcome read(size_t most);
  ReadOutcome read_plain(size_t most);
  ReadOutcome read_tls(size_t most);
  GoOn feed(std::string_view bytes);
  GoOn hand_on(const ResponseParser::Item& item, std::string_view rest);
  void hold(std::string_view bytes);
  GoOn feed_held();
  void judge_end(ReadEnd end);

  void complete(bool clean);
  void fail(Error error);
  void check_idle();
  bool has_surplus() const;
  void on_rate_window_end();

  void start_reading();
  void stop_reading();
  void run_later();
  void arm_deadline();

  const Tools& tools_;
  Keeper& keeper_;
  UniqueFd fd_;
  Ssl ssl_;
  Event readable_;  // level-triggered, persistent, and added from connect to close but for stalls
  Event writable_;  // made when a request does not go out at once
  Event later_;     // goes on with what no readiness of the socket would tell
  Deadline deadline_;
  RateWatch rate_;  // of the body, while nobody pauses it
  Step step_ = Step::idle;
  uint64_t loan_ = 0;  // counts loans: tells a callback's caller that its loan has ended
  ResponseHandler* handler_ = nullptr;
  BodySink* sink_ = nullptr;
  ResponseParser parser_;
  std::string request_;
  size_t sent_ = 0;
  std::string held_;      // read but not handed on when a pause came; at most one read
  bool holding_ = false;  // held_ (perhaps empty) must go through the parser before the next read
  std::optional<ReadEnd> pending_end_;  // behind held_
  bool paused_ = false;
  bool emptied_ = false;  // the last read found the end of what the socket held
  bool reading_ = false;
  bool reused_ = false;
  bool served_ = false;
  bool clean_ = false;
};

}  // namespace streamgate
