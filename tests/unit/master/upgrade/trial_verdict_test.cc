#include "master/upgrade/trial_verdict.h"

#include <gtest/gtest.h>

namespace streamgate {
namespace {

TEST(TrialVerdict, AReadyVerdictHasTheVersion) {
  const auto parsed = parse_verdict(print_verdict({"1.2.3", "", {}}));
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->is_ready());
  EXPECT_EQ("1.2.3", parsed->version);
}

TEST(TrialVerdict, ARefusalHasItsReasonAndEachProblemOnOneLine) {
  const auto parsed = parse_verdict(print_verdict({"", "two\nlines", {"c:1: a", "c:2: b\nc"}}));
  ASSERT_TRUE(parsed);
  EXPECT_FALSE(parsed->is_ready());
  EXPECT_EQ("two lines", parsed->reason);
  EXPECT_EQ((std::vector<std::string>{"c:1: a", "c:2: b c"}), parsed->problems);
  EXPECT_EQ("c:1: a (and 1 more, see the log)", first_of(parsed->problems));
}

TEST(TrialVerdict, AVerdictWithManyProblemsFitsIntoAPipe) {
  const std::vector<std::string> problems(1000, std::string(1000, 'x'));
  const std::string text = print_verdict({"", std::string(100'000, 'y'), problems});
  EXPECT_LE(text.size(), kMaxVerdictBytes);
  const auto parsed = parse_verdict(text);
  ASSERT_TRUE(parsed);
  EXPECT_FALSE(parsed->problems.empty());
}

TEST(TrialVerdict, TheOutputOfAnotherProgramIsNotAVerdict) {
  const std::string good = print_verdict({"1.2.3", "", {}});
  for (size_t size = 0; size < good.size() - 1; ++size) {
    EXPECT_FALSE(parse_verdict(good.substr(0, size))) << size;
  }
  EXPECT_FALSE(parse_verdict("usage: program [OPTION]\nready 1\nend\n"));
  EXPECT_FALSE(parse_verdict("streamgate-trial 2\nready 1\nend\n"));
}

}  // namespace
}  // namespace streamgate
