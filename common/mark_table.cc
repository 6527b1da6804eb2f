#include "common/mark_table.h"

namespace streamgate {
namespace {

// A word: 38 bits of the key (never 0), 2 bits of the value, 24 bits of time in ticks. The time
// wraps after 19 days.
constexpr int64_t kTickMs = 100;
constexpr uint64_t kTimeMask = (uint64_t{1} << 24U) - 1;
constexpr unsigned kValueShift = 24;
constexpr unsigned kKeyShift = 26;

uint64_t tag_of(uint64_t key) { return (key >> kKeyShift | 1U) << kKeyShift; }
uint64_t ticks(int64_t now_ms) { return static_cast<uint64_t>(now_ms / kTickMs) & kTimeMask; }
uint64_t age_of(uint64_t word, int64_t now_ms) { return (ticks(now_ms) - word) & kTimeMask; }

}  // namespace

void MarkTable::put(uint64_t key, unsigned value, int64_t now_ms) {
  Set& set = sets_[key % kSets];
  std::atomic<uint64_t>* place = &set.front();
  uint64_t oldest = 0;
  for (std::atomic<uint64_t>& way : set) {
    const uint64_t word = way.load(std::memory_order_relaxed);
    if (word == 0 || word >> kKeyShift == tag_of(key) >> kKeyShift) {
      place = &way;
      break;
    }
    if (const uint64_t age = age_of(word, now_ms); age > oldest) {
      oldest = age;
      place = &way;
    }
  }
  place->store(tag_of(key) | uint64_t{value} << kValueShift | ticks(now_ms),
               std::memory_order_relaxed);
}

std::optional<MarkTable::Mark> MarkTable::find(uint64_t key, int64_t now_ms) const {
  for (const std::atomic<uint64_t>& way : sets_[key % kSets]) {
    const uint64_t word = way.load(std::memory_order_relaxed);
    if (word == 0 || word >> kKeyShift != tag_of(key) >> kKeyShift) continue;
    const auto age = static_cast<int64_t>(age_of(word, now_ms)) * kTickMs;
    return Mark{static_cast<unsigned>(word >> kValueShift & 3U), std::chrono::milliseconds(age)};
  }
  return std::nullopt;
}

}  // namespace streamgate
