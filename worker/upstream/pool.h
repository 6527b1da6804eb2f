// Connections to upstreams: opens them (DNS answer in hand, addresses raced, TLS), lends one for
// one exchange, takes it back and keeps it idle for the next one to the same origin: same address,
// port, scheme and, for https, name.
//
// One per worker.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/config.h"
#include "common/result.h"
#include "common/scoreboard.h"
#include "common/socket_address.h"
#include "common/url.h"
#include "worker/loop/reaper.h"
#include "worker/loop/timer_wheel.h"
#include "worker/upstream/connection.h"

namespace streamgate {

class UpstreamPool {
 public:
  // Implemented by whoever asks. Exactly one call per acquire() that did not answer at once and was
  // not cancelled.
  class Observer {
   public:
    virtual void on_connected(UpstreamConnection& connection) = 0;
    // connect_failed, connect_timeout, tls_failed; overloaded if there was no descriptor left.
    virtual void on_connect_failed(Error error) = 0;

   protected:
    ~Observer() = default;
  };

  // An attempt under way. Destroying it cancels it. Gone before the pool is.
  class Attempt;
  struct CancelAttempt {
    void operator()(Attempt* attempt) const noexcept;
  };
  using AttemptHandle = std::unique_ptr<Attempt, CancelAttempt>;

  enum class Freshness { reuse_allowed, fresh_only };
  enum class Reuse { allowed, no };

  UpstreamPool(event_base* base, TimerWheel& wheel, Reaper& reaper, const UpstreamConfig& config,
               Counters& counters);
  ~UpstreamPool();
  UpstreamPool(const UpstreamPool&) = delete;
  UpstreamPool& operator=(const UpstreamPool&) = delete;

  // Reads the CA file and makes the TLS context; call before the worker says ready.
  Result<void> start();

  // An idle connection at once, or nullptr and `attempt` is under way. `addresses` have passed the
  // guard; they are tried in order, a next one 250 ms after the last if that still hangs (RFC 8305
  // 5). The connection goes to one of these addresses and to nothing else.
  UpstreamConnection* acquire(const HttpUrl& url, const std::vector<SocketAddress>& addresses,
                              Freshness freshness, Observer& observer, AttemptHandle& attempt);

  // Ends the loan. A connection whose response is not complete, or that may not be used again, or
  // with Reuse::no, is closed, and destroyed by the reaper. Of the idle ones, at most
  // keepalive_per_origin of an origin and keepalive_per_worker in all are kept; the longest idle
  // makes room.
  void give_back(UpstreamConnection& connection, Reuse reuse);

  // Drain: closes idle connections and keeps none from now on.
  void stop_keeping();

 private:
  struct State;  // NOLINT(cppcoreguidelines-virtual-class-destructor): it is final
  std::unique_ptr<State> state_;
};

}  // namespace streamgate
