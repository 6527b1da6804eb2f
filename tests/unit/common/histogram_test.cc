#include "common/histogram.h"

#include <gtest/gtest.h>

namespace streamgate {
namespace {

static_assert(kHistogramBuckets == 24);
static_assert(info_of(bucket_of(Histogram::connect, 0)).name == "connect_ms_0");
static_assert(info_of(bucket_of(Histogram::exchange, 23)).name == "exchange_ms_23");
static_assert(info_of(Counter::first_byte_ms_sum).is_cell);
static_assert(!info_of(Counter::exchanges_started).is_cell);

size_t bucket_after(int64_t duration_ms) {
  Counters counters;
  observe(counters, Histogram::first_byte, duration_ms);
  for (size_t bucket = 0; bucket < kHistogramBuckets; ++bucket) {
    if (counters[bucket_of(Histogram::first_byte, bucket)] == 1) return bucket;
  }
  return kHistogramBuckets;
}

TEST(Histogram, ADurationFallsInTheFirstBucketWhoseBoundIsNotLess) {
  EXPECT_EQ(0U, bucket_after(0));
  for (size_t bucket = 0; bucket + 1 < kHistogramBuckets; ++bucket) {
    const auto bound = static_cast<int64_t>(bucket_bound_ms(bucket));
    EXPECT_EQ(bucket, bucket_after(bound)) << bound;
    EXPECT_EQ(bucket + 1, bucket_after(bound + 1)) << bound;
  }
  EXPECT_EQ(kHistogramBuckets - 1, bucket_after(INT64_MAX));
}

TEST(Histogram, ANegativeDurationCountsAsZero) {
  Counters counters;
  observe(counters, Histogram::connect, -5);
  EXPECT_EQ(1U, counters[Counter::connect_ms_0]);
  EXPECT_EQ(0U, counters[Counter::connect_ms_sum]);
}

TEST(Histogram, TheSumIsExact) {
  Counters counters;
  for (const int64_t ms : {3, 40, 500}) observe(counters, Histogram::exchange, ms);
  EXPECT_EQ(543U, counters[Counter::exchange_ms_sum]);
  EXPECT_EQ(0U, counters[Counter::connect_ms_sum]);
}

}  // namespace
}  // namespace streamgate
