#include "master/process/respawn_policy.h"

#include <gtest/gtest.h>

#include <vector>

namespace streamgate {
namespace {

using namespace std::chrono_literals;
using Death = RespawnPolicy::Death;

TEST(RespawnPolicy, AFewCrashesAreReplacedAtOnce) {
  RespawnPolicy policy;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(0ms, policy.delay_after(Death::crashed, 100ms));
  EXPECT_EQ(1s, policy.delay_after(Death::crashed, 100ms));
}

TEST(RespawnPolicy, RepeatedCrashesDoubleTheDelayUpTo30Seconds) {
  RespawnPolicy policy;
  std::vector<long> seconds;
  for (int i = 0; i < 11; ++i) {
    seconds.push_back(policy.delay_after(Death::crashed, 100ms).count() / 1000);
  }
  EXPECT_EQ((std::vector<long>{0, 0, 0, 1, 2, 4, 8, 16, 30, 30, 30}), seconds);
}

TEST(RespawnPolicy, AWorkerOlderThanTenSecondsResetsTheDelay) {
  RespawnPolicy policy;
  for (int i = 0; i < 5; ++i) policy.delay_after(Death::crashed, 0ms);
  EXPECT_EQ(0ms, policy.delay_after(Death::crashed, 10s));
  EXPECT_EQ(0ms, policy.delay_after(Death::crashed, 9s));
  EXPECT_EQ(0ms, policy.delay_after(Death::crashed, 9s));
  EXPECT_EQ(1s, policy.delay_after(Death::crashed, 9s));
}

TEST(RespawnPolicy, AWorkerThatCouldNotStartIsNeverReplacedAtOnce) {
  RespawnPolicy policy;
  EXPECT_EQ(1s, policy.delay_after(Death::could_not_start, 0ms));
  EXPECT_EQ(2s, policy.delay_after(Death::could_not_start, 0ms));
}

}  // namespace
}  // namespace streamgate
