// Connections to upstreams. An exchange borrows one, with the addresses of the upstream resolved,
// and gives it back. The pool keeps it idle for the next exchange with the same origin: same
// address, port, scheme, name and settings.
//
// One per worker.
#pragma once

#include <memory>
#include <vector>

#include "common/config.h"
#include "common/counters.h"
#include "common/result.h"
#include "common/socket_address.h"
#include "common/url.h"
#include "worker/loop/reaper.h"
#include "worker/loop/socket_memory.h"
#include "worker/loop/timer_wheel.h"
#include "worker/upstream/connect_trace.h"
#include "worker/upstream/connection.h"
#include "worker/upstream/connection_places.h"
#include "worker/upstream/host_settings.h"
#include "worker/upstream/resolver.h"

namespace streamgate {

class UpstreamPool {
 public:
  // Implemented by the caller of acquire(). Exactly one call for each acquire() that returns
  // nullptr and is not cancelled.
  class Observer {
   public:
    virtual void on_connected(UpstreamConnection& connection) = 0;
    // connect_failed, connect_timeout, tls_failed, proxy_failed; upstream_busy if no place among
    // max_connections became free within connect_timeout; overloaded if there is no descriptor
    // left.
    virtual void on_connect_failed(Error error) = 0;

   protected:
    ~Observer() = default;
  };

  // An attempt to connect. Destroying the handle cancels it; destroy it before the pool.
  class Attempt;
  struct CancelAttempt {
    void operator()(Attempt* attempt) const noexcept;
  };
  using AttemptHandle = std::unique_ptr<Attempt, CancelAttempt>;

  enum class Freshness { reuse_allowed, fresh_only };
  enum class Reuse { allowed, no };

  // The objects that the pool uses. They outlive it.
  struct Tools {
    event_base* base;
    TimerWheel& wheel;
    Reaper& reaper;
    const UpstreamConfig& config;
    Resolver& resolver;        // for the names of proxies
    ConnectionPlaces& places;  // for max_connections
    const SocketMemory& socket_memory;
    Counters& counters;
  };

  // Where a connection leads to, and how.
  struct Target {
    const HttpUrl& url;
    const HostSettings& settings;  // of the URL's host; outlives the pool
    // Have passed the target guard; the connection goes to one of them. Empty if the proxy of the
    // settings resolves the name.
    const std::vector<SocketAddress>& addresses;
    ConnectTrace* trace = nullptr;  // outlives the attempt; null: nobody watches
  };

  explicit UpstreamPool(const Tools& tools);
  ~UpstreamPool();
  UpstreamPool(const UpstreamPool&) = delete;
  UpstreamPool& operator=(const UpstreamPool&) = delete;

  // Reads the CA files and makes the TLS contexts. Call it before the worker reports that it is
  // ready.
  Result<void> start();

  // At the limit max_connections an idle connection of the same origin or account is closed for a
  // new one, also by other workers. If none is idle, the request waits for up to connect_timeout.
  // While the addresses of a name are raced, connections that are not open yet do not count.
  //
  // Returns an idle connection, or begins `attempt` and returns nullptr. The addresses are tried in
  // order. The next one is tried as soon as the last has failed or has not answered for 250 ms
  // (RFC 8305 5); through a proxy, as soon as the proxy has refused the last.
  UpstreamConnection* acquire(const Target& target, Freshness freshness, Observer& observer,
                              AttemptHandle& attempt);

  // Ends the loan. Closes the connection if its response is not complete, if it cannot serve
  // another request, or with Reuse::no; the reaper destroys it. Else keeps it idle: at most
  // keepalive_per_origin for each origin and keepalive_per_worker in all. Beyond that the longest
  // idle connection is closed.
  void give_back(UpstreamConnection& connection, Reuse reuse);

  // Whether a request waits for a place among max_connections with that key (limit_key_of), here or
  // in another worker.
  bool is_wanted(uint64_t limit_key) const;

  // For draining: closes the idle connections and keeps none from now on.
  void stop_keeping();

  // For statistics: the connections that are open, and those of them that are idle.
  size_t size() const;
  size_t idle() const;

 private:
  struct State;  // NOLINT(cppcoreguidelines-virtual-class-destructor): it is final
  std::unique_ptr<State> state_;
};

}  // namespace streamgate
