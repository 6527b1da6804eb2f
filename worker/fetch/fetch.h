// The answer of an upstream to one request. A fetch resolves the name, asks the guard about it,
// connects, sends the request, follows redirects, asks again after a 403, and asks for the rest of
// a body that was cut. It knows no client: an observer takes the answer.
//
//   start -> resolve -> connect -> await_head -> read_body -> finished
//
// The methods stand below, and in fetch.cc, in that order. A redirect goes back to resolve. These
// go back to connect: a pooled connection that was dead, a second try without Referer and Origin
// after a 403 (RFC 9110 15.5.4), a playlist to be asked for as a whole, and the rest of a body.
//
// Runs in a worker. The owner keeps it alive until the callback that ended it has returned, which
// the reaper sees to.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "common/config.h"
#include "common/result.h"
#include "common/scoreboard.h"
#include "worker/fetch/fetch_request.h"
#include "worker/fetch/resumption.h"
#include "worker/fetch/target_guard.h"
#include "worker/loop/timer_wheel.h"
#include "worker/upstream/pool.h"
#include "worker/upstream/resolver.h"

namespace streamgate {

// What all fetches of a worker share. Outlives them.
struct FetchEnvironment {
  const UpstreamConfig& config;
  const TargetGuard& guard;
  Resolver& resolver;
  UpstreamPool& pool;
  TimerWheel& wheel;
  Counters& counters;
};

class Fetch final : private Resolver::Observer,
                    private UpstreamPool::Observer,
                    private UpstreamConnection::Observer {
 public:
  // Takes the answer. Order: on_head, on_body any number of times, on_end; on_failed at any time
  // instead. After retry_without_range() it begins with on_head again. Each call may stop() the
  // fetch; after that, on_end or on_failed nothing more comes. start() may call on_failed.
  class Observer {
   public:
    // The answer that counts: not a redirect that is followed, nor a 403 that is asked again. Valid
    // until the fetch ends or is asked without a range.
    virtual void on_head(const ResponseHead& head) = 0;
    // `bytes` is valid during the call only.
    virtual void on_body(std::string_view bytes) = 0;
    // All pieces of one read have come; also called before the rest of a cut body is asked for.
    virtual void on_read_done() = 0;
    virtual void on_end() = 0;
    virtual void on_failed(const Error& error) = 0;

   protected:
    ~Observer() = default;
  };

  // Takes a body that is relayed unchanged, and only such a body is resumed after a cut.
  class Sink : public BodySink {
   public:
    // Bytes of the body that have been taken, by way of pipes and of on_body(): the rest that is
    // asked for begins behind them.
    virtual uint64_t taken() const = 0;

   protected:
    ~Sink() = default;
  };

  enum class Step { resolve, connect, await_head, read_body, finished };

  // `environment` and `observer` outlive the fetch. `request.url` has an http or https scheme.
  Fetch(FetchEnvironment& environment, FetchRequest request, Observer& observer);
  ~Fetch();
  Fetch(const Fetch&) = delete;
  Fetch& operator=(const Fetch&) = delete;

  void start();

  // From on_head() on: the body is read as `sink` has room for it. `sink` outlives the fetch.
  void relay_into(Sink& sink);
  // From on_head(), on_body() or on_end(): requests once more, without Range and If-Range.
  void retry_without_range();
  // Back-pressure: while paused nothing is read and no time limit of the upstream runs.
  void pause();
  void go_on();
  // Ends the fetch; its connection is kept for others if the response was complete. Idempotent.
  void stop();

  // For logs and decisions; valid at any time.
  Step step() const { return step_; }
  const HttpUrl& url() const { return request_.url; }  // of the hop that was tried last
  bool left_origin() const { return left_origin_; }    // a redirect led to another origin
  bool asked_for_range() const { return send_range_ && request_.has_forwarded("Range"); }
  int upstream_status() const { return upstream_status_; }  // of the last head; 0: none came
  unsigned attempts() const { return attempts_; }           // requests that were sent
  unsigned resumed() const { return rest_ ? rest_->resumed : 0; }
  bool reused_connection() const { return reused_connection_; }  // by the last attempt

 private:
  // A body that was cut, from then on: every head that comes is that of its rest.
  struct Rest {
    Rest(Fetch& fetch, Resumption what, Error why);

    Resumption wanted;
    Error cause;  // why the body was cut first
    unsigned tried = 0;
    unsigned resumed = 0;
    uint64_t taken = 0;  // of the body, at the last try
    Deadline backoff;
  };

  void resolve();
  void on_resolved(const std::vector<IpAddress>& addresses) override;
  void on_resolve_failed(Error error) override;

  void connect(UpstreamPool::Freshness freshness);
  void on_connected(UpstreamConnection& connection) override;
  void on_connect_failed(Error error) override;

  void send_request();
  void on_head(const ResponseHead& head) override;
  void follow_redirect(std::string_view location);
  bool names_itself() const;
  void retry_without_referer();

  void on_body(std::string_view bytes) override;
  void on_read_done() override;
  void on_end() override;
  void on_upstream_error(Error error, Retry retry) override;

  void ask_for_rest_or_fail(const Error& error);
  bool may_ask_for_rest() const;
  void ask_for_rest();
  void continue_body(const ResponseHead& head);

  void fail(const Error& error);
  void release(UpstreamPool::Reuse reuse);
  void enter(Step step);

  FetchEnvironment& environment_;
  FetchRequest request_;  // its url follows the redirects
  Observer& observer_;
  Step step_ = Step::resolve;
  std::vector<SocketAddress> addresses_;  // of this hop, checked by the guard
  unsigned redirects_ = 0;
  unsigned attempts_ = 0;
  int upstream_status_ = 0;
  bool left_origin_ = false;
  bool send_referer_ = true;
  bool send_range_ = true;
  bool reused_connection_ = false;
  const ResponseHead* head_ = nullptr;  // the connection's; null without one
  Sink* sink_ = nullptr;                // set: the body is relayed unchanged
  std::unique_ptr<Rest> rest_;
  Resolver::LookupHandle lookup_;
  UpstreamPool::AttemptHandle attempt_;
  UpstreamConnection* connection_ = nullptr;  // borrowed from the pool
};

// `resolve`, `connect`, ...
std::string_view name_of(Fetch::Step step);

}  // namespace streamgate
