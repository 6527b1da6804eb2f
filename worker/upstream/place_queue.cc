#include "worker/upstream/place_queue.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "common/check.h"

namespace streamgate {
namespace {

// Other workers cannot wake this one.
constexpr timeval kPollInterval{0, 20'000};

}  // namespace

PlaceQueue::PlaceQueue(event_base* base, TimerWheel& wheel, ConnectionPlaces& places)
    : wheel_(wheel),
      places_(places),
      poll_(event_new(
          base, -1, EV_PERSIST,
          [](evutil_socket_t, short, void* self) { static_cast<PlaceQueue*>(self)->serve(); },
          this)) {
  CHECK(poll_);
}

bool PlaceQueue::must_wait(uint64_t key) const {
  return waiters_.contains(key) || is_wanted_elsewhere(key);
}

bool PlaceQueue::is_wanted_elsewhere(uint64_t key) const {
  const auto here = waiters_.find(key);
  const int64_t first =
      here == waiters_.end() ? std::numeric_limits<int64_t>::max() : here->second.front().since_ms;
  return places_.is_wanted_elsewhere(key, first, wheel_.now_ms());
}

bool PlaceQueue::add(uint64_t key, Waiter& waiter) {
  if (size_ >= kMaxWaiters) return false;
  const int64_t now_ms = wheel_.now_ms();
  if (!waiters_.contains(key) && !places_.set_waiting_since(key, now_ms)) return false;
  waiters_[key].push_back({&waiter, now_ms});
  if (size_++ == 0) CHECK(event_add(poll_.get(), &kPollInterval) == 0);
  return true;
}

void PlaceQueue::remove(uint64_t key, Waiter& waiter) {
  const auto found = waiters_.find(key);
  if (found == waiters_.end()) return;
  auto& entries = found->second;
  const auto entry = std::find_if(entries.begin(), entries.end(), [&](const Entry& candidate) {
    return candidate.waiter == &waiter;
  });
  if (entry == entries.end()) return;
  entries.erase(entry);
  places_.set_waiting_since(key, entries.empty() ? 0 : entries.front().since_ms);
  if (entries.empty()) waiters_.erase(found);
  if (--size_ == 0) event_del(poll_.get());
}

void PlaceQueue::wake(uint64_t key) {
  if (waiters_.contains(key)) event_active(poll_.get(), EV_TIMEOUT, 1);
}

void PlaceQueue::serve() {
  std::vector<uint64_t> keys;
  keys.reserve(waiters_.size());
  for (const auto& [key, entries] : waiters_) keys.push_back(key);
  for (const uint64_t key : keys) serve(key);
}

// The list is looked up again after each waiter, because its owner may have removed others.
void PlaceQueue::serve(uint64_t key) {
  for (auto found = waiters_.find(key); found != waiters_.end(); found = waiters_.find(key)) {
    if (is_wanted_elsewhere(key) || !found->second.front().waiter->take_place()) return;
  }
}

}  // namespace streamgate
