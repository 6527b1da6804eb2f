#include "common/counters.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace streamgate {
namespace {

// A worker of another version finds a counter by its name.
static_assert(info_of(Counter::connections_accepted).name == "connections_accepted");
static_assert(info_of(Counter::resumes_done).reason.empty());
static_assert(failures_of(Reason::bad_request) == Counter::failed_bad_request);
static_assert(failures_of(Reason::internal) == Counter::failed_internal);
static_assert(index_of(Counter::failed_internal) + 1 == kCounterCount);

TEST(Counters, EachReasonHasAFailureCounterWithItsLabel) {
  for (size_t i = 0; i < kReasonCount; ++i) {
    const auto reason = static_cast<Reason>(i);
    const CounterInfo& info = info_of(failures_of(reason));
    EXPECT_EQ(token_of(reason), info.reason);
    EXPECT_EQ("failed_" + std::string(token_of(reason)), info.name);
  }
}

TEST(Counters, RowsAreInTheOrderOfTheEnumAndHaveAHelpSentence) {
  std::set<std::string_view> names;
  for (size_t i = 0; i < kCounterCount; ++i) {
    EXPECT_EQ(i, index_of(kCounters[i].counter));
    EXPECT_TRUE(names.insert(kCounters[i].name).second) << kCounters[i].name;
    EXPECT_TRUE(kCounters[i].help.ends_with('.')) << kCounters[i].name;
  }
}

TEST(Counters, CountAddsToOneCounterOnly) {
  Counters counters;
  count(counters, Counter::bytes_spliced, 5);
  count(counters, Counter::bytes_spliced);
  for (const CounterInfo& info : kCounters) {
    EXPECT_EQ(info.counter == Counter::bytes_spliced ? 6U : 0U, counters[info.counter].load());
  }
}

}  // namespace
}  // namespace streamgate
