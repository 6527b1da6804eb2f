// The resolution of one name: both families at once, the search rules, further servers and
// repetitions, until `timeout` has passed.
//
// If a family has no answer after a fifth of the time (50 ms to 2 s), the next server is asked.
// Earlier queries stay open, so a slow server has the whole time. After a failure (SERVFAIL,
// REFUSED, malformed answer, unreachable) the next server is asked at once. If one family has
// addresses, the other has 50 ms more (RFC 8305 3). Addresses that arrive later are still
// collected.
//
// A member of Resolver, which runs it: every event only wakes the owner, and the owner calls
// advance() from the event loop.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/config.h"
#include "common/ip_address.h"
#include "common/result.h"
#include "worker/loop/event.h"
#include "worker/loop/timer_wheel.h"
#include "worker/upstream/dns_servers.h"

namespace streamgate {

struct ResolvedName {
  // The name that a search rule of resolv.conf made of the host; empty: the host itself. The target
  // guard must check this name too.
  std::string full_name = {};
  std::vector<IpAddress> addresses;  // never empty; the families alternate, IPv6 first
};

// The addresses with their families alternating, IPv6 first (RFC 8305 4).
std::vector<IpAddress> alternate_families(const std::vector<IpAddress>& mixed);

class DnsQuestion : private DnsQuery::Observer {
 public:
  // Implemented by the owner.
  class Owner {
   public:
    // Call advance() soon, from the event loop.
    virtual void wake(DnsQuestion& question) = 0;

   protected:
    ~Owner() = default;
  };

  // Shared by all questions. Outlives them.
  struct Environment {
    event_base* base;
    TimerWheel& wheel;
    DnsServers& servers;
    Milliseconds timeout;
    Owner& owner;
  };

  enum class Progress {
    asking,
    has_addresses,  // of one family; the other is still being asked. Reported once
    answered,       // complete: result() has all addresses
    failed,         // complete: error() has the reason
  };

  DnsQuestion(Environment& environment, std::string name);
  ~DnsQuestion();
  DnsQuestion(const DnsQuestion&) = delete;
  DnsQuestion& operator=(const DnsQuestion&) = delete;

  // The first call begins to ask.
  Progress advance();
  // The next advance() reports `error`.
  void give_up(Error error);

  const std::string& name() const { return name_; }
  bool is_given_up() const { return given_up_.has_value(); }
  // Empty until has_addresses or answered.
  const ResolvedName& result() const { return result_; }
  int64_t ttl_ms() const { return ttl_ms_; }  // at the time of the last advance()
  const Error& error() const { return *error_; }
  // The name servers say that the name does not exist or has no address.
  bool is_negative() const { return is_negative_; }

 private:
  struct Side {
    IpFamily family;
    std::optional<DnsAnswer> answer;  // the decision
    int64_t answered_ms = 0;
    std::vector<std::shared_ptr<DnsQuery>> queries;
    std::vector<uint32_t> asked;  // servers of this round
    const char* failure = nullptr;
    bool wants_next = false;  // a server has failed
  };

  void on_answer(DnsQuery& query, DnsAnswer answer) override;
  void on_timer();
  void on_deadline();

  void begin_candidate();
  void ask_next(Side& side);
  void ask(Side& side, DnsServer& server);
  void repeat(Side& side);
  void continue_after_failures();
  bool may_still_be_answered(const Side& side) const;
  static void forget_queries(Side& side);
  Side& side_of(IpFamily family) { return sides_[family == IpFamily::v6 ? 0 : 1]; }
  bool is_decided() const { return sides_[0].answer && sides_[1].answer; }
  bool has_addresses() const;
  Progress conclude();
  Progress conclude_late();
  Progress fail(Error error);
  void collect_addresses();
  const char* failure_of_sides() const;
  Error describe_failure();
  void arm(Milliseconds wait);

  Environment& environment_;
  const std::string name_;
  std::vector<std::string> candidates_;
  size_t candidate_ = 0;
  std::array<Side, 2> sides_;
  ResolvedName result_;
  int64_t ttl_ms_ = 0;
  std::optional<Error> error_;
  std::optional<Error> given_up_;
  const char* failure_ = nullptr;  // of an earlier candidate
  bool is_negative_ = false;
  bool has_begun_ = false;
  bool has_timer_fired_ = false;
  bool is_late_ = false;              // the deadline has passed
  bool is_resolution_delay_ = false;  // the timer is the resolution delay, not the next repetition
  Deadline deadline_;
  Event timer_;
};

}  // namespace streamgate
