#include "common/arrival_table.h"

#include <algorithm>

#include "common/hash.h"

namespace streamgate {
namespace {

static_assert(std::atomic<uint64_t>::is_always_lock_free, "shared between processes");

// A word: 24 bits of the key, then 40 bits of time in microseconds, which wrap after 12 days. 0:
// the row is empty.
constexpr unsigned kTimeBits = 40;
constexpr uint64_t kTimeMask = (uint64_t{1} << kTimeBits) - 1;
constexpr unsigned kSetBits = 14;
static_assert(ArrivalTable::kSets == size_t{1} << kSetBits);
// Other workers may change the row at the same time. A worker that loses this often lets the client
// pass: a limit must never stop a worker.
constexpr int kMaxAttempts = 64;

uint64_t mixed(uint64_t key, uint64_t seed) { return mix(key ^ seed) + seed; }

// How far the time in `word` is ahead of now. A time that is further ahead than any limit allows is
// a very old one, after a wrap.
int64_t ahead_in(uint64_t word, int64_t now_us) {
  const uint64_t ahead = (word - static_cast<uint64_t>(now_us)) & kTimeMask;
  return ahead <= static_cast<uint64_t>(ArrivalTable::kMaxAheadUs) ? static_cast<int64_t>(ahead)
                                                                   : 0;
}

uint64_t word_of(uint64_t tag, int64_t time_us) {
  return tag << kTimeBits | (static_cast<uint64_t>(time_us) & kTimeMask);
}

}  // namespace

struct ArrivalTable::Place {
  uint64_t tag;
  size_t row;     // of the key, or the one that it may take
  uint64_t word;  // as it was read there
  int64_t ahead;  // of the key
};

ArrivalTable::Place ArrivalTable::find(uint64_t key, int64_t now_us) const {
  const uint64_t value = mixed(key, seed.load(std::memory_order_relaxed));
  const uint64_t tag = std::max<uint64_t>(value >> kTimeBits, 1);
  const size_t first = value % kSets * kWays;
  Place place{tag, first, rows_[first].load(std::memory_order_relaxed), 0};
  int64_t least_ahead = kMaxAheadUs + 1;
  for (size_t i = first; i < first + kWays; ++i) {
    const uint64_t word = rows_[i].load(std::memory_order_relaxed);
    const int64_t ahead = word == 0 ? -1 : ahead_in(word, now_us);
    if (word >> kTimeBits == tag) return {tag, i, word, std::max<int64_t>(ahead, 0)};
    if (ahead >= least_ahead) continue;
    least_ahead = ahead;
    place.row = i;
    place.word = word;
  }
  return place;
}

int64_t ArrivalTable::ahead_us(uint64_t key, int64_t now_us) const {
  return find(key, now_us).ahead;
}

bool ArrivalTable::take(uint64_t key, int64_t cost_us, int64_t tolerance_us, int64_t now_us) {
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    Place place = find(key, now_us);
    const int64_t next = place.ahead + cost_us;
    if (next > tolerance_us) return false;
    const uint64_t word = word_of(place.tag, now_us + std::min(next, kMaxAheadUs));
    if (rows_[place.row].compare_exchange_strong(place.word, word, std::memory_order_relaxed))
      break;
  }
  return true;
}

int64_t ArrivalTable::charge(uint64_t key, int64_t cost_us, int64_t now_us) {
  int64_t before = 0;
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    Place place = find(key, now_us);
    before = place.ahead;
    const int64_t next = std::clamp<int64_t>(before + cost_us, 0, kMaxAheadUs);
    const uint64_t word = word_of(place.tag, now_us + next);
    if (rows_[place.row].compare_exchange_strong(place.word, word, std::memory_order_relaxed))
      break;
  }
  return before;
}

}  // namespace streamgate
