// Resolves names to addresses without blocking the worker: the hosts file first, then DNS for A and
// AAAA (names are absolute, no search list), with a bounded cache by TTL (1 to 300 s; 5 s for names
// that do not exist). Simultaneous lookups of one name share one question.
//
// evdns_getaddrinfo() of libevent 2.1 is not enough: it has no cache and does not return the TTL
// that a cache needs, reads the hosts file once, and sends one question for each caller.
//
// One per worker, made after the fork.
#pragma once

#include <event2/event.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/config.h"
#include "common/ip_address.h"
#include "common/result.h"
#include "worker/loop/timer_wheel.h"

namespace streamgate {

class Resolver {
 public:
  // Implemented by the caller of resolve(). Exactly one call for each resolve() that returns
  // nullptr and is not cancelled.
  class Observer {
   public:
    virtual void on_resolved(const std::vector<IpAddress>& addresses) = 0;  // never empty
    // dns_failed or dns_timeout; overloaded if too many different names are being resolved.
    virtual void on_resolve_failed(Error error) = 0;

   protected:
    ~Observer() = default;
  };

  // A lookup. Destroying the handle cancels it: the observer is not called any more.
  class Lookup;
  struct CancelLookup {
    void operator()(Lookup* lookup) const noexcept;
  };
  using LookupHandle = std::unique_ptr<Lookup, CancelLookup>;

  // The machine's files. resolv.conf is read once, because a reload makes new workers; if it is
  // missing or has no name server, 127.0.0.1 is asked, as by the C library. The hosts file is read
  // again when it has changed.
  struct Files {
    std::string resolv_conf = "/etc/resolv.conf";
    std::string hosts = "/etc/hosts";
  };

  Resolver(event_base* base, TimerWheel& wheel, const UpstreamConfig& config);
  Resolver(event_base* base, TimerWheel& wheel, const UpstreamConfig& config, const Files& files);
  // Destroy all handles before. libevent frees its unfinished questions from the event loop: run
  // the base once more (EVLOOP_NONBLOCK) before freeing it.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Returns the addresses if `host` is a literal, in the hosts file or in the cache. Else returns
  // nullptr and begins `lookup`: the observer is called from the event loop, never from inside
  // resolve(). Addresses alternate between the families, IPv6 first (RFC 8305 4). `host` is lower
  // case, without a trailing dot. The addresses, also those of on_resolved(), are valid until
  // control returns to the event loop or resolve() is called again.
  const std::vector<IpAddress>* resolve(std::string_view host, Observer& observer,
                                        LookupHandle& lookup);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace streamgate
