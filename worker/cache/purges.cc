#include "worker/cache/purges.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <utility>

#include "common/check.h"

namespace streamgate {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kAcquire = std::memory_order_acquire;
constexpr auto kRelease = std::memory_order_release;

// A worker that is busy for longer is killed by the master.
constexpr std::chrono::milliseconds kTimeout{5'000};
// The bits that count the orders of one process. The bits above them hold its incarnation.
constexpr unsigned kNumberBits = 32;

// None: the order has been replaced while it was read.
std::optional<PurgeOrder> read(const CachePurge& from, uint64_t number) {
  PurgeOrder order;
  const uint64_t size = std::min<uint64_t>(from.size.load(kRelaxed), kMaxPurgedUrl);
  order.url.resize(size);
  for (size_t i = 0; i < size; ++i) order.url[i] = from.url[i].load(kRelaxed);
  if (from.is_prefix.load(kRelaxed) != 0) order.reach = PurgeOrder::Reach::prefix;
  std::atomic_thread_fence(kAcquire);
  if (from.number.load(kRelaxed) != number) return std::nullopt;
  return order;
}

void write(const PurgeOrder& order, uint64_t number, CachePurge& to) {
  CHECK(order.url.size() <= kMaxPurgedUrl);
  to.number.store(0, kRelaxed);
  std::atomic_thread_fence(kRelease);
  for (size_t i = 0; i < order.url.size(); ++i) to.url[i].store(order.url[i], kRelaxed);
  to.size.store(order.url.size(), kRelaxed);
  to.is_prefix.store(order.reach == PurgeOrder::Reach::prefix ? 1 : 0, kRelaxed);
  to.number.store(number, kRelease);
}

}  // namespace

Purges::Purges(CacheSeat& seat, Keeper& keeper, TimerWheel& wheel)
    : seat_(seat),
      keeper_(keeper),
      number_(seat.directory().head().seats[seat.column()].incarnation.load() << kNumberBits),
      timeout_(wheel, this, call<&Purges::on_timeout>) {
  for (unsigned i = 0; i < seat_.directory().column_count(); ++i) {
    const uint64_t number = seat_.directory().column(i).purge.number.load(kAcquire);
    seat_.own().purge_answers[i].number.store(number, kRelease);
  }
}

void Purges::order(PurgeOrder order, Observer& observer) {
  pending_.push_back({std::move(order), &observer});
  if (pending_.size() == 1) publish();
}

void Purges::forget(const Observer& observer) {
  for (Pending& each : pending_) {
    if (each.observer == &observer) each.observer = nullptr;
  }
}

void Purges::look() {
  for (unsigned i = 0; i < seat_.directory().column_count(); ++i) {
    if (i != seat_.column() && seat_.directory().is_live(i)) carry_out(i);
  }
  seat_.wake_noted();
  end_if_answered();
}

void Purges::carry_out(unsigned column) {
  const CachePurge& purge = std::as_const(seat_).directory().column(column).purge;
  CachePurgeAnswer& answer = seat_.own().purge_answers[column];
  const uint64_t number = purge.number.load(kAcquire);
  if (number == 0 || number == answer.number.load(kRelaxed)) return;
  const auto order = read(purge, number);
  if (!order) return;
  answer.dropped.store(keeper_.drop(*order), kRelaxed);
  answer.number.store(number, kRelease);
  seat_.note(column);
}

void Purges::publish() {
  ++number_;
  const PurgeOrder& order = pending_.front().order;
  write(order, number_, seat_.own().purge);
  seat_.note_all_others();
  seat_.wake_noted();
  timeout_.arm(kTimeout);
  dropped_here_ = keeper_.drop(order);
  end_if_answered();
}

bool Purges::has_answered(unsigned column) const {
  const CachePurgeAnswer& answer = seat_.directory().column(column).purge_answers[seat_.column()];
  return answer.number.load(kAcquire) == number_;
}

// Dead processes answer nothing, and own nothing.
PurgeOutcome Purges::outcome() const {
  PurgeOutcome out{dropped_here_, 0};
  for (unsigned i = 0; i < seat_.directory().column_count(); ++i) {
    if (i == seat_.column() || !seat_.directory().is_live(i)) continue;
    if (!has_answered(i)) {
      ++out.silent;
      continue;
    }
    out.dropped += seat_.directory().column(i).purge_answers[seat_.column()].dropped.load(kRelaxed);
  }
  return out;
}

void Purges::end_if_answered() {
  if (!pending_.empty() && outcome().silent == 0) end();
}

void Purges::end() {
  timeout_.cancel();
  const PurgeOutcome result = outcome();
  Observer* const observer = pending_.front().observer;
  pending_.pop_front();
  if (observer != nullptr) observer->on_purged(result);
  if (!pending_.empty() && !timeout_.armed()) publish();
}

}  // namespace streamgate
