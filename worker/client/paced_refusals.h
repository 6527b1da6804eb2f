// Paces the answers to refused requests. A client at its limit often asks again at once: ten
// connections of one client got 131,000 refusals a second out of two workers, and the requests of
// all others waited for the CPU. So a worker answers kRate refusals a second, and kBurst at once.
// Further refusals wait for their turn, for kMaxWaitUs at most. A worker that has fewer of them
// answers each one at once.
//
// A request that waits counts for no limit of streams. Its connection counts; end_first() ends it
// for another client. If kMaxWaiting requests wait already, the next one is answered at once.
//
// One per worker; it outlives the turns.
#pragma once

#include <event2/event.h>

#include <cstddef>
#include <cstdint>

#include "common/clock.h"
#include "worker/client/refusal_budget.h"
#include "worker/loop/periodic_timer.h"
#include "worker/loop/work_queue.h"

namespace streamgate {

class PacedRefusals {
 public:
  static constexpr int64_t kRate = RefusalBudget::kRate;
  static constexpr int64_t kBurst = RefusalBudget::kBurst;
  static constexpr size_t kMaxWaiting = 2 * size_t{kRate};
  static constexpr int64_t kMaxWaitUs = 2'000'000;

  using Clock = RefusalBudget::Clock;

  PacedRefusals(event_base* base, WorkQueue& work, Clock clock = monotonic_us);
  PacedRefusals(const PacedRefusals&) = delete;
  PacedRefusals& operator=(const PacedRefusals&) = delete;

  // Whether the refusal that the caller has is answered now. If not, it waits for a Turn.
  bool may_answer_now();

  // in_turn: the connection stays as it is. for_room: it is closed after the answer.
  enum class Ending { in_turn, for_room };

  // A member of the refused request. Destroying it cancels it.
  class Turn {
   public:
    using Callback = void (*)(void* owner, Ending ending);

    // `answer` runs from the event loop or from inside end_first(), and may destroy its owner.
    Turn(PacedRefusals& all, void* owner, Callback answer)
        : all_(all), owner_(owner), answer_(answer) {}
    ~Turn() { cancel(); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    void wait();  // after those that wait already
    void cancel();

   private:
    friend class PacedRefusals;
    PacedRefusals& all_;
    void* owner_;
    Callback answer_;
    Turn* next_ = nullptr;
    Turn* previous_ = nullptr;
    int64_t since_us_ = 0;
    bool is_waiting_ = false;
  };

  size_t waiting() const { return waiting_; }
  // Answers the request that has waited for the longest time, because its connection is needed.
  // False: none waits.
  bool end_first();

 private:
  void answer_first(Ending ending);
  void answer_some();
  void on_tick();

  Clock clock_;
  RefusalBudget budget_;
  Turn* first_ = nullptr;
  Turn* last_ = nullptr;
  size_t waiting_ = 0;
  WorkQueue::Task slice_;
  PeriodicTimer tick_;  // runs while a request waits
};

}  // namespace streamgate
