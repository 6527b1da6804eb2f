#include "worker/exchange/rate_meter.h"

#include <algorithm>

#include "common/check.h"
#include "common/clock.h"

namespace streamgate {
namespace {

constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kMinPortion = int64_t{4} * 1024;
constexpr int64_t kMaxPortion = int64_t{256} * 1024;
// A read of a few bytes costs as much as a large one.
constexpr int64_t kMinReadBytes = 1024;
static_assert(kMinReadBytes <= kMinPortion);

int64_t time_of(int64_t bytes, uint64_t rate) {
  return bytes * kSecondUs / static_cast<int64_t>(rate);
}

}  // namespace

void RateMeter::add(Bucket bucket) {
  if (bucket.rate == 0) return;
  CHECK(count_ < kMaxBuckets);
  bucket.rate = std::max(bucket.rate, kMinRate);
  buckets_[count_++] = bucket;
  // A tenth of a second, because a deadline may be as late as that.
  const int64_t tenth =
      static_cast<int64_t>(std::min<uint64_t>(bucket.rate, kMaxPortion * 10)) / 10;
  const int64_t portion = std::clamp(tenth, kMinPortion, kMaxPortion);
  portion_ = count_ == 1 ? portion : std::min(portion_, portion);
}

bool RateMeter::must_wait() {
  int64_t ahead = 0;
  const int64_t now = monotonic_us();
  for (size_t i = 0; i < count_; ++i)
    ahead = std::max(ahead, table_.ahead_us(buckets_[i].key, now));
  return wait_for(ahead - kBurstUs);
}

size_t RateMeter::room(size_t most, uint64_t taken) {
  if (wait_.armed()) return 0;
  account(taken);
  if (credit_ < kMinReadBytes) {
    const int64_t wanted = portion_ - std::min<int64_t>(credit_, 0);
    const int64_t ahead = charge(wanted);
    credit_ += wanted;
    if (wait_for(ahead - kBurstUs)) return 0;
  }
  return std::min(most, static_cast<size_t>(credit_));
}

void RateMeter::settle(uint64_t taken) {
  wait_.cancel();
  account(std::max(taken, accounted_));
  if (credit_ != 0) charge(-credit_);
  credit_ = 0;
}

void RateMeter::account(uint64_t taken) {
  credit_ -= static_cast<int64_t>(taken - accounted_);
  accounted_ = taken;
}

// Returns how far the bucket that is furthest ahead was ahead of now.
int64_t RateMeter::charge(int64_t bytes) {
  int64_t ahead = 0;
  const int64_t now = monotonic_us();
  for (size_t i = 0; i < count_; ++i) {
    const auto& [key, rate] = buckets_[i];
    ahead = std::max(ahead, table_.charge(key, time_of(bytes, rate), now));
  }
  return ahead;
}

bool RateMeter::wait_for(int64_t us) {
  if (us <= 0) return false;
  has_waited_ = true;
  wait_.arm(std::chrono::milliseconds((us + 999) / 1000));
  return true;
}

void RateMeter::on_wait_end() { observer_->on_bandwidth(); }

}  // namespace streamgate
