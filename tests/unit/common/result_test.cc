#include "common/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>

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

TEST(Result, OfNothingIsSuccessUnlessItHoldsAnError) {
  EXPECT_TRUE(Result<void>());
  EXPECT_FALSE(Result<void>(Error{Reason::internal, {}}));
}

// Reason's enumerators are counted from the first to the last, so that a new one without a row
// in the table fails here (info_of would end the process).
TEST(Reason, EachHasARowOfItsOwn) {
  std::set<std::string_view> tokens;
  const int last = static_cast<int>(Reason::internal);
  for (int i = 0; i <= last; ++i) {
    const ReasonInfo& info = info_of(static_cast<Reason>(i));
    EXPECT_TRUE(tokens.insert(info.token).second) << info.token;
    EXPECT_EQ(std::string::npos, info.token.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"));
    EXPECT_GE(info.status, 400);
    EXPECT_LT(info.status, 600);
    EXPECT_TRUE(info.message.ends_with(".")) << info.token;
  }
  EXPECT_EQ(static_cast<size_t>(last) + 1, tokens.size());
}

TEST(Reason, TheStatusFitsTheFault) {
  for (int i = 0; i <= static_cast<int>(Reason::internal); ++i) {
    const ReasonInfo& info = info_of(static_cast<Reason>(i));
    if (info.fault == Fault::upstream) {
      EXPECT_TRUE(info.status == 502 || info.status == 504) << info.token;
    }
    if (info.fault == Fault::proxy) {
      EXPECT_GE(info.status, 500) << info.token;
    }
  }
  EXPECT_EQ(504, status_for(Reason::first_byte_timeout));
  EXPECT_EQ(403, status_for(Reason::target_forbidden));
  EXPECT_EQ("overloaded", token_of(Reason::overloaded));
  EXPECT_EQ(Fault::client, fault_of(Reason::client_gone));
}

}  // namespace
}  // namespace streamgate
