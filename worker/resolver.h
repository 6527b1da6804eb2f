// Names to addresses without ever blocking the worker: the hosts file, then DNS for A and AAAA
// (names are absolute, no search list), with a bounded cache by TTL.
//
// Level 2. Lives in the worker, made after fork.
#pragma once

#include <event2/event.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/config.h"
#include "common/ip_address.h"
#include "common/result.h"
#include "worker/timer_wheel.h"

namespace streamgate {

class Resolver {
 public:
  // Implemented by whoever asks. Exactly one call per resolve() that was not cancelled.
  class Observer {
   public:
    virtual void on_resolved(const std::vector<IpAddress>& addresses) = 0;  // never empty
    virtual void on_resolve_failed(Error error) = 0;  // dns_failed or dns_timeout

   protected:
    ~Observer() = default;
  };

  // A lookup under way. Destroying it cancels it: no call comes any more.
  class Lookup;
  struct CancelLookup {
    void operator()(Lookup* lookup) const noexcept;
  };
  using LookupHandle = std::unique_ptr<Lookup, CancelLookup>;

  Resolver(event_base* base, TimerWheel& wheel, const UpstreamConfig& config);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // The addresses at once, if `host` is a literal, in the hosts file or in the cache; else nullptr
  // and `lookup` is under way. Addresses alternate between the families, IPv6 first (RFC 8305 4).
  const std::vector<IpAddress>* resolve(std::string_view host, Observer& observer,
                                        LookupHandle& lookup);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace streamgate
