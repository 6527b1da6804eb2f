// Resolves names to addresses without blocking the worker: the hosts file first, then DNS for A and
// AAAA by the rules of resolv.conf, with a bounded cache by TTL (1 to 300 s; 5 s for names that do
// not exist). Simultaneous lookups of one name share one question. A lookup in the last quarter of
// a TTL is answered from the cache and begins a question, so that names in use stay known.
//
// Open questions are limited to 1,024 in all, 32 for each client and 32 for such refreshes. At the
// first limit a new question ends the oldest one; at the second it is refused. The cache holds
// 4,096 names. It never evicts an address before its TTL for another name: while it is full of
// addresses, new answers are not kept.
//
// One per worker, made after the fork.
#pragma once

#include <event2/event.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/config.h"
#include "common/ip_address.h"
#include "common/result.h"
#include "worker/loop/timer_wheel.h"
#include "worker/upstream/dns_question.h"

namespace streamgate {

class Resolver {
 public:
  // Implemented by the caller of resolve(). Exactly one call of the first two for each resolve()
  // that returns nullptr and is not cancelled.
  class Observer {
   public:
    virtual void on_resolved(const ResolvedName& name) = 0;
    // dns_failed or dns_timeout; overloaded if too many names are being resolved.
    virtual void on_resolve_failed(Error error) = 0;
    // The client whose limit a new question counts against (IPv6: its /64). None: only the limit
    // for all clients applies. Called from inside resolve().
    virtual std::optional<IpAddress> client() const = 0;

   protected:
    ~Observer() = default;
  };

  // A lookup. Destroying the handle cancels it: the observer is not called any more.
  class Lookup;
  struct CancelLookup {
    void operator()(Lookup* lookup) const noexcept;
  };
  using LookupHandle = std::unique_ptr<Lookup, CancelLookup>;

  // The machine's files. Each is read again when it has changed.
  struct Files {
    std::string resolv_conf = "/etc/resolv.conf";
    std::string hosts = "/etc/hosts";
  };

  static constexpr size_t kMaxQuestions = 1024;
  static constexpr unsigned kMaxQuestionsPerClient = 32;

  Resolver(event_base* base, TimerWheel& wheel, const UpstreamConfig& config);
  Resolver(event_base* base, TimerWheel& wheel, const UpstreamConfig& config, const Files& files);
  // Destroy all handles before.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Returns the addresses if `host` is a literal, in the hosts file or in the cache. Else returns
  // nullptr and begins `lookup`: the observer is called from the event loop, never from inside
  // resolve(). `host` is lower case, without a trailing dot. The result, also that of
  // on_resolved(), is valid until control returns to the event loop or resolve() is called again.
  const ResolvedName* resolve(std::string_view host, Observer& observer, LookupHandle& lookup);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace streamgate
