#include "worker/client/paced_refusals.h"

#include "worker/loop/event.h"

namespace streamgate {
namespace {

constexpr std::chrono::milliseconds kTick{10};
// Refusals in one turn of the event loop: some 0.1 ms.
constexpr int kSlice = 4;

}  // namespace

PacedRefusals::PacedRefusals(event_base* base, WorkQueue& work, Clock clock)
    : clock_(clock),
      budget_(clock),
      slice_(work, this, call<&PacedRefusals::answer_some>),
      tick_(base, kTick, callback<&PacedRefusals::on_tick>, this) {}

bool PacedRefusals::may_answer_now() {
  if (waiting_ == kMaxWaiting) return true;
  return waiting_ == 0 && budget_.take();
}

bool PacedRefusals::end_first() {
  if (first_ == nullptr) return false;
  answer_first(Ending::for_room);
  return true;
}

void PacedRefusals::answer_first(Ending ending) {
  Turn& turn = *first_;
  turn.cancel();
  turn.answer_(turn.owner_, ending);
}

// Between the events of clients that are served.
void PacedRefusals::answer_some() {
  for (int i = 0; i < kSlice; ++i) {
    if (first_ == nullptr || !budget_.take()) return;
    answer_first(Ending::in_turn);
  }
  if (first_ != nullptr) slice_.schedule();
}

// The slices have the lowest priority, so a busy worker may run none.
void PacedRefusals::on_tick() {
  const int64_t now = clock_();
  while (first_ != nullptr && now - first_->since_us_ >= kMaxWaitUs) answer_first(Ending::in_turn);
  if (first_ != nullptr) slice_.schedule();
}

void PacedRefusals::Turn::wait() {
  if (is_waiting_) return;
  is_waiting_ = true;
  since_us_ = all_.clock_();
  next_ = nullptr;
  previous_ = all_.last_;
  (previous_ != nullptr ? previous_->next_ : all_.first_) = this;
  all_.last_ = this;
  if (all_.waiting_++ == 0) all_.tick_.start();
}

void PacedRefusals::Turn::cancel() {
  if (!is_waiting_) return;
  is_waiting_ = false;
  (previous_ != nullptr ? previous_->next_ : all_.first_) = next_;
  (next_ != nullptr ? next_->previous_ : all_.last_) = previous_;
  if (--all_.waiting_ == 0) all_.tick_.stop();
}

}  // namespace streamgate
