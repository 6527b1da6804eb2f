#include "common/keyed_counts.h"

#include "common/hash.h"

namespace streamgate {
namespace {

static_assert(std::atomic<uint64_t>::is_always_lock_free, "shared between processes");

constexpr unsigned kCountBits = 16;
constexpr unsigned kBucketBits = 13;
static_assert(KeyedCounts::kBuckets == size_t{1} << kBucketBits);

uint64_t count_in(uint64_t row) { return row & KeyedCounts::kMaxCount; }
uint64_t tag_in(uint64_t row) { return row >> kCountBits; }

}  // namespace

// The tag has 48 of the 64 bits, the bucket 13 others: two keys share a row with a probability of
// less than 2^-47.
KeyedCounts::Place KeyedCounts::place_of(uint64_t key) {
  const uint64_t value = mix(key);
  return {value >> kCountBits, {value % kBuckets, (value >> kBucketBits) % kBuckets}};
}

// Reads each row once: another process may give it to another key at any time.
std::optional<KeyedCounts::Found> KeyedCounts::find(const Place& place) const {
  for (const size_t bucket : place.buckets) {
    for (size_t i = 0; i < kRowsPerBucket; ++i) {
      const size_t row = bucket * kRowsPerBucket + i;
      const uint64_t word = rows_[row].load(std::memory_order_relaxed);
      if (tag_in(word) == place.tag && count_in(word) > 0) {
        return Found{static_cast<uint32_t>(row), word};
      }
    }
  }
  return std::nullopt;
}

// In the emptier of the two buckets. With this choice the table can become nearly full.
std::optional<uint32_t> KeyedCounts::find_free(const Place& place) const {
  std::optional<uint32_t> best;
  size_t most_free = 0;
  for (const size_t bucket : place.buckets) {
    size_t free = 0;
    uint32_t found = 0;
    for (size_t i = 0; i < kRowsPerBucket; ++i) {
      const size_t row = bucket * kRowsPerBucket + i;
      if (count_in(rows_[row].load(std::memory_order_relaxed)) > 0) continue;
      ++free;
      found = static_cast<uint32_t>(row);
    }
    if (free <= most_free) continue;
    most_free = free;
    best = found;
  }
  return best;
}

std::optional<uint32_t> KeyedCounts::add(uint64_t key) {
  const Place place = place_of(key);
  if (const auto found = find(place)) {
    if (count_in(found->word) == kMaxCount) return std::nullopt;
    rows_[found->row].store(found->word + 1, std::memory_order_relaxed);
    return found->row;
  }
  const auto row = find_free(place);
  if (row) rows_[*row].store((place.tag << kCountBits) | 1U, std::memory_order_relaxed);
  return row;
}

void KeyedCounts::remove(uint32_t row) {
  const uint64_t word = rows_[row].load(std::memory_order_relaxed);
  rows_[row].store(count_in(word) <= 1 ? 0 : word - 1, std::memory_order_relaxed);
}

uint64_t KeyedCounts::count_of(uint64_t key) const {
  const auto found = find(place_of(key));
  return found ? count_in(found->word) : 0;
}

}  // namespace streamgate
