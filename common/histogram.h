// Histograms of durations. Their cells are counters (common/counters.h), so that they survive the
// end of a worker and an upgrade as the other counters do. The bounds of the buckets are fixed: 1,
// 2, 4 ... 2^22 ms (70 min), and none for the last bucket. An observation changes the count of one
// bucket and the sum.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/counters.h"

namespace streamgate {

enum class Histogram : uint8_t {
#define STREAMGATE_ENUMERATOR(name, help) name,
  STREAMGATE_HISTOGRAMS(STREAMGATE_ENUMERATOR)
#undef STREAMGATE_ENUMERATOR
};

struct HistogramInfo {
  std::string_view name;
  std::string_view help;  // one sentence
  Counter first_bucket;
  Counter sum;  // milliseconds
};

// In the order of Histogram.
inline constexpr HistogramInfo kHistograms[] = {
#define STREAMGATE_INFO(name, help) {#name, help, Counter::name##_ms_0, Counter::name##_ms_sum},
    STREAMGATE_HISTOGRAMS(STREAMGATE_INFO)
#undef STREAMGATE_INFO
};

inline constexpr size_t kHistogramBuckets =
    static_cast<size_t>(Counter::connect_ms_sum) - static_cast<size_t>(Counter::connect_ms_0);

// The upper bound of a bucket, which belongs to it. The last bucket has none.
constexpr uint64_t bucket_bound_ms(size_t bucket) { return uint64_t{1} << bucket; }

constexpr Counter bucket_of(Histogram histogram, size_t bucket) {
  const HistogramInfo& info = kHistograms[static_cast<size_t>(histogram)];
  return static_cast<Counter>(index_of(info.first_bucket) + bucket);
}

inline void observe(Counters& counters, Histogram histogram, int64_t duration_ms) {
  const uint64_t ms = duration_ms > 0 ? static_cast<uint64_t>(duration_ms) : 0;
  const auto width = static_cast<size_t>(std::bit_width(ms > 0 ? ms - 1 : 0));
  count(counters, bucket_of(histogram, std::min(width, kHistogramBuckets - 1)));
  count(counters, kHistograms[static_cast<size_t>(histogram)].sum, ms);
}

}  // namespace streamgate
