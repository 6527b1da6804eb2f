#include "worker/loop/timer_wheel.h"

#include <algorithm>

#include "common/check.h"

namespace streamgate {
namespace {

using SliceClock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kSliceTime{1};

}  // namespace

Deadline::Deadline(TimerWheel& wheel, void* owner, Callback fired)
    : wheel_(wheel), owner_(owner), fired_(fired) {}

void Deadline::arm(std::chrono::milliseconds from_now) {
  if (from_now.count() <= 0) return cancel();
  // Rounded up to a whole tick, so that it never fires early.
  due_tick_ = wheel_.tick_of(wheel_.now_ms() + from_now.count() + TimerWheel::kTick.count() - 1);
  armed_ = true;
  // Nearly every deadline is moved further away. It stays in its slot: when that slot runs, the
  // wheel reads due_tick_ and links the deadline again.
  if (linked_ && due_tick_ - wheel_.done_tick_ < TimerWheel::kSlots) {
    const uint64_t ahead = (slot_ + TimerWheel::kSlots - (wheel_.done_tick_ % TimerWheel::kSlots)) %
                           TimerWheel::kSlots;
    if (wheel_.done_tick_ + ahead <= due_tick_ && ahead != 0) return;
  }
  if (linked_) TimerWheel::unlink(*this, wheel_);
  wheel_.link(*this);
}

void Deadline::cancel() {
  armed_ = false;
  if (linked_) TimerWheel::unlink(*this, wheel_);
}

TimerWheel::TimerWheel(event_base* base, Clock clock)
    : clock_(clock),
      start_ms_(clock()),
      tick_(event_new(base, -1, EV_PERSIST, callback<&TimerWheel::run_slice>, this)),
      next_slice_(event_new(base, -1, 0, callback<&TimerWheel::run_slice>, this)) {
  CHECK(tick_ && next_slice_);
  const timeval every{0, kTick.count() * 1000};
  CHECK(event_add(tick_.get(), &every) == 0);
}

TimerWheel::~TimerWheel() = default;

uint64_t TimerWheel::tick_of(int64_t ms) const {
  return static_cast<uint64_t>(std::max<int64_t>(0, ms - start_ms_) / kTick.count());
}

// A deadline beyond the wheel waits in the furthest slot, and is linked again when that slot runs.
void TimerWheel::link(Deadline& deadline) {
  const uint64_t furthest = done_tick_ + kSlots - 1;
  const uint64_t at = std::clamp(deadline.due_tick_, done_tick_ + 1, furthest);
  deadline.slot_ = static_cast<uint16_t>(at % kSlots);
  deadline.previous_ = nullptr;
  deadline.next_ = slots_[deadline.slot_];
  if (deadline.next_ != nullptr) deadline.next_->previous_ = &deadline;
  slots_[deadline.slot_] = &deadline;
  deadline.linked_ = true;
}

void TimerWheel::unlink(Deadline& deadline, TimerWheel& wheel) {
  if (deadline.previous_ != nullptr) {
    deadline.previous_->next_ = deadline.next_;
  } else {
    wheel.slots_[deadline.slot_] = deadline.next_;
  }
  if (deadline.next_ != nullptr) deadline.next_->previous_ = deadline.previous_;
  deadline.next_ = deadline.previous_ = nullptr;
  deadline.linked_ = false;
}

// A callback may arm, cancel or destroy any deadline, also its own. None of that adds to the slot
// that is running: a deadline is linked at least one slot ahead and less than a whole turn.
void TimerWheel::run_slice() {
  const SliceClock::time_point end = SliceClock::now() + kSliceTime;
  const uint64_t now_tick = tick_of(now_ms());
  // After a stop of the process for more than one turn, each slot runs once.
  if (now_tick > done_tick_ + kSlots) done_tick_ = now_tick - kSlots;
  for (;;) {
    while (Deadline* const deadline = slots_[done_tick_ % kSlots]) {
      if (SliceClock::now() >= end) return event_active(next_slice_.get(), EV_TIMEOUT, 1);
      run(*deadline);
    }
    if (done_tick_ >= now_tick) return;
    ++done_tick_;
  }
}

void TimerWheel::run(Deadline& deadline) {
  unlink(deadline, *this);
  if (!deadline.armed_) return;
  if (deadline.due_tick_ > done_tick_) return link(deadline);
  deadline.armed_ = false;
  deadline.fired_(deadline.owner_);
}

}  // namespace streamgate
