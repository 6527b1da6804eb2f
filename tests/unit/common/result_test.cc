#include "common/result.h"

#include <gtest/gtest.h>

#include <memory>

namespace streamgate {
namespace {

TEST(Result, HoldsAValueOrAnError) {
  Result<std::unique_ptr<int>> good = std::make_unique<int>(7);
  ASSERT_TRUE(good);
  EXPECT_EQ(7, **good);
  const std::unique_ptr<int> taken = *std::move(good);
  EXPECT_EQ(7, *taken);
  const Result<std::unique_ptr<int>> bad = Error{Reason::dns_failed, "why"};
  ASSERT_FALSE(bad);
  EXPECT_EQ(Reason::dns_failed, bad.error().reason);
  EXPECT_EQ("why", bad.error().detail);
}

TEST(Result, OfVoidIsSuccessUnlessItHoldsAnError) {
  EXPECT_TRUE(Result<void>());
  EXPECT_FALSE(Result<void>(Error{Reason::internal, {}}));
}

}  // namespace
}  // namespace streamgate
