#include "worker/fetch/reconnection.h"

#include <gtest/gtest.h>

#include <string_view>

namespace streamgate {
namespace {

using namespace std::chrono_literals;

ResponseHead head_of(int status, std::string_view type, std::string_view coding = {}) {
  ResponseHead head;
  head.status = status;
  head.fields = {{"Content-Type", type}};
  if (!coding.empty()) head.fields.push_back({"Content-Encoding", coding});
  return head;
}

Reconnection reconnection(unsigned attempts) {
  return {head_of(200, "video/mp2t; a=b"), attempts, 1000};
}

TEST(Reconnection, TheDelayDoublesUpToThirtySeconds) {
  Reconnection rule = reconnection(20);
  for (const auto delay : {1s, 2s, 4s, 8s, 16s, 30s, 30s}) EXPECT_EQ(rule.next_delay(1000), delay);
}

TEST(Reconnection, AGoodBodyResetsTheDelayAndTheAttempts) {
  Reconnection rule = reconnection(2);
  EXPECT_EQ(rule.next_delay(2000), 1s);
  EXPECT_EQ(rule.next_delay(3000), 2s);
  rule.body_begins(4000);
  EXPECT_EQ(rule.next_delay(14'000), 1s);
  rule.body_begins(20'000);
  EXPECT_EQ(rule.next_delay(29'999), 2s);
  EXPECT_EQ(rule.next_delay(60'000), std::nullopt);
}

TEST(Reconnection, OnlyTheSameTypeAndCodingContinue) {
  const Reconnection rule = reconnection(1);
  EXPECT_TRUE(rule.is_continued_by(head_of(200, "Video/MP2T")));
  EXPECT_FALSE(rule.is_continued_by(head_of(206, "video/mp2t")));
  EXPECT_FALSE(rule.is_continued_by(head_of(200, "text/html")));
  EXPECT_FALSE(rule.is_continued_by(head_of(200, "video/mp2t", "gzip")));
}

}  // namespace
}  // namespace streamgate
