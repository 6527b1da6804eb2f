#include "master/upgrade/trial_verdict.h"

#include <gtest/gtest.h>

namespace streamgate {
namespace {

TEST(TrialVerdict, SaysThatAProgramCanTakeOver) {
  const auto said = parse_verdict(print_verdict({"1.2.3", "", {}}));
  ASSERT_TRUE(said);
  EXPECT_TRUE(said->is_ready());
  EXPECT_EQ("1.2.3", said->version);
}

TEST(TrialVerdict, SaysWhyNotWithEveryProblemOnALineOfItsOwn) {
  const auto said = parse_verdict(print_verdict({"", "two\nlines", {"c:1: a", "c:2: b\nc"}}));
  ASSERT_TRUE(said);
  EXPECT_FALSE(said->is_ready());
  EXPECT_EQ("two lines", said->reason);
  EXPECT_EQ((std::vector<std::string>{"c:1: a", "c:2: b c"}), said->problems);
  EXPECT_EQ("c:1: a (and 1 more, see the log)", first_of(said->problems));
}

TEST(TrialVerdict, FitsIntoAPipeHoweverMuchIsWrong) {
  const std::vector<std::string> problems(1000, std::string(1000, 'x'));
  const std::string text = print_verdict({"", std::string(100'000, 'y'), problems});
  EXPECT_LE(text.size(), kMostVerdictBytes);
  const auto said = parse_verdict(text);
  ASSERT_TRUE(said);
  EXPECT_FALSE(said->problems.empty());
}

TEST(TrialVerdict, IsNotWhatAnotherProgramSays) {
  const std::string good = print_verdict({"1.2.3", "", {}});
  for (size_t size = 0; size < good.size() - 1; ++size) {
    EXPECT_FALSE(parse_verdict(good.substr(0, size))) << size;
  }
  EXPECT_FALSE(parse_verdict("usage: program [OPTION]\nready 1\nend\n"));
  EXPECT_FALSE(parse_verdict("streamgate-trial 2\nready 1\nend\n"));
}

}  // namespace
}  // namespace streamgate
