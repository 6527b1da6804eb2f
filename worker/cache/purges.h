// Purges: an operator orders that stored answers are dropped, and the worker that gets the order
// passes it on to all others through the directory. Each drops its own objects and answers in its
// own column; the first one reports when all have answered.
//
// A column has room for one order, so further orders wait in the worker. A process that dies, or
// does not answer in time, is not waited for: its column is cleared, or the outcome says so.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <string_view>

#include "worker/cache/seat.h"
#include "worker/loop/timer_wheel.h"

namespace streamgate {

// covers() compares normalised URLs as text.
struct PurgeOrder {
  enum class Reach { url, prefix };

  std::string url;  // at most kMaxPurgedUrl bytes
  Reach reach = Reach::url;

  bool covers(std::string_view stored_url) const {
    return reach == Reach::prefix ? stored_url.starts_with(url) : stored_url == url;
  }
};

struct PurgeOutcome {
  uint64_t dropped = 0;  // answers, stored or under way
  unsigned silent = 0;   // workers that did not answer in time
};

class Purges {
 public:
  // Implemented by Cache.
  class Keeper {
   public:
    // Drops the objects of that URL that this worker owns. Returns their number.
    virtual uint64_t drop(const PurgeOrder& order) = 0;

   protected:
    ~Keeper() = default;
  };

  class Observer {
   public:
    // Exactly one call, unless forget() comes first. May come inside order().
    virtual void on_purged(const PurgeOutcome& outcome) = 0;

   protected:
    ~Observer() = default;
  };

  // All outlive it. The process owns no object yet, so earlier orders do not concern it.
  Purges(CacheSeat& seat, Keeper& keeper, TimerWheel& wheel);
  Purges(const Purges&) = delete;
  Purges& operator=(const Purges&) = delete;

  void order(PurgeOrder order, Observer& observer);
  void forget(const Observer& observer);
  // Carries out the orders of other workers, and checks for answers to the order of this one. Call
  // it after each wake-up and from time to time, because a process that has just started wakes
  // nobody.
  void look();

 private:
  struct Pending {
    PurgeOrder order;
    Observer* observer;  // null: it has been forgotten
  };

  void carry_out(unsigned column);
  void publish();
  bool has_answered(unsigned column) const;
  PurgeOutcome outcome() const;
  void end_if_answered();
  void end();
  void on_timeout() { end(); }

  CacheSeat& seat_;
  Keeper& keeper_;
  std::list<Pending> pending_;  // the first one is published
  uint64_t number_;             // of that one
  uint64_t dropped_here_ = 0;
  Deadline timeout_;
};

}  // namespace streamgate
