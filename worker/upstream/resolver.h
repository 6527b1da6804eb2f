// Names to addresses without ever blocking the worker: the hosts file, then DNS for A and AAAA
// (names are absolute, no search list), with a bounded cache by TTL (1..300 s; 5 s for names that
// do not exist). Lookups of one name at the same time share one question.
//
// Lives in the worker, made after fork.
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
  // Implemented by whoever asks. Exactly one call per resolve() that was not cancelled.
  class Observer {
   public:
    virtual void on_resolved(const std::vector<IpAddress>& addresses) = 0;  // never empty
    // dns_failed or dns_timeout; overloaded if too many different names are under way.
    virtual void on_resolve_failed(Error error) = 0;

   protected:
    ~Observer() = default;
  };

  // A lookup under way. Destroying it cancels it: no call comes any more.
  class Lookup;
  struct CancelLookup {
    void operator()(Lookup* lookup) const noexcept;
  };
  using LookupHandle = std::unique_ptr<Lookup, CancelLookup>;

  // Where the machine keeps its own knowledge of names. A missing resolv.conf, or one without a
  // name server, means 127.0.0.1, as for the C library; resolv.conf is read once (a reload makes
  // new workers), the hosts file again whenever it has changed.
  struct Files {
    std::string resolv_conf = "/etc/resolv.conf";
    std::string hosts = "/etc/hosts";
  };

  Resolver(event_base* base, TimerWheel& wheel, const UpstreamConfig& config);
  Resolver(event_base* base, TimerWheel& wheel, const UpstreamConfig& config, const Files& files);
  // No call comes any more. Handles must be gone by then. libevent frees what it still had under
  // way from its loop: let the base turn once more (EVLOOP_NONBLOCK) before freeing it.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // The addresses at once, if `host` is a literal, in the hosts file or in the cache; else nullptr
  // and `lookup` is under way: the observer is called from the event loop, never from in here.
  // Addresses alternate between the families, IPv6 first (RFC 8305 4). `host` is lower case,
  // without a trailing dot. What is returned, or given to on_resolved, is valid until control goes
  // back to the event loop or resolve() is called again.
  const std::vector<IpAddress>* resolve(std::string_view host, Observer& observer,
                                        LookupHandle& lookup);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace streamgate
