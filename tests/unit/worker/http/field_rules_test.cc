#include "worker/http/field_rules.h"

#include <gtest/gtest.h>

namespace streamgate {
namespace {

TEST(FieldRulesTest, KeepAliveAndCloseNameNoField) {
  EXPECT_FALSE(connection_names_fields({}));
  EXPECT_FALSE(connection_names_fields({{"connection", "Keep-Alive"}}));
  EXPECT_FALSE(connection_names_fields({{"Connection", "close"}}));
  EXPECT_TRUE(connection_names_fields({{"Connection", "close, Range"}}));
  EXPECT_TRUE(connection_names_fields({{"Connection", "close"}, {"Connection", "X-A"}}));
}

TEST(FieldRulesTest, AFieldThatConnectionNamesIsForThisHop) {
  const HeaderFields fields = {{"Connection", "close, RANGE"}, {"connection", "x-a"}};
  EXPECT_TRUE(is_for_this_hop(fields, "Range"));
  EXPECT_TRUE(is_for_this_hop(fields, "X-A"));
  EXPECT_FALSE(is_for_this_hop(fields, "Accept"));
}

TEST(FieldRulesTest, OnlyListsMayRepeat) {
  EXPECT_TRUE(may_repeat("if-none-match"));
  EXPECT_FALSE(may_repeat("Range"));
}

TEST(FieldRulesTest, AuthorizationAndCookieAreSecret) {
  EXPECT_TRUE(is_secret_header("authorization"));
  EXPECT_TRUE(is_secret_header("COOKIE"));
  EXPECT_FALSE(is_secret_header("X-Key"));
}

}  // namespace
}  // namespace streamgate
