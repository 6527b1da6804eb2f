#include "worker/fetch/loop_mark.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "worker/http/grammar.h"

namespace streamgate {
namespace {

const LoopMark kMark("me");

// The CDN-Loop to send, or `loop`.
std::string after(const std::string& received) {
  const auto sent = kMark.append_to(received);
  return sent ? *sent : std::string(token_of(sent.error().reason));
}

std::string with_ours(const std::string& before) { return before + ", me;by=streamgate"; }

TEST(LoopMarkTest, OwnMarkIsTheIdWithTheNameOfTheProgram) {
  EXPECT_EQ(kMark.own(), "me;by=streamgate");
}

TEST(LoopMarkTest, AppendsToEveryWellFormedValue) {
  for (const std::string value :
       {"cdn", "other;by=streamgate", "cdn.example:8080; a=b;\tc=\"q, \\\"; d\"", "[2001::1]:80",
        "a, b,c ;v=1.0", ",, a, ,", "a;b=\"by=streamgate\""}) {
    EXPECT_EQ(after(value), with_ours(value));
  }
}

TEST(LoopMarkTest, OurIdIsALoopInEveryPlace) {
  for (const char* value : {"me", "me;by=streamgate", "a, me", "a,\tme ;x=y, b", "ME;by=streamgate",
                            ", me,", "a;x=\"y, me;by=streamgate", "\xff, me"}) {
    EXPECT_EQ(after(value), "loop") << value;
  }
  for (const char* value : {"mee", "m", "a;b=me", "me:80", "by=me", "a;x=\"y, me\""}) {
    EXPECT_NE(after(value), "loop") << value;
  }
}

TEST(LoopMarkTest, MoreThanFourMarksOfStreamgatesAreALoop) {
  const std::string four =
      "a;by=streamgate, b;by=streamgate, cdn, c;BY=Streamgate, d;by=streamgate";
  EXPECT_EQ(after(four), with_ours(four));
  EXPECT_EQ(after(four + ", e;x=y; by=\"streamgate\""), "loop");
  EXPECT_EQ(after(four + ", \xff, @;by=streamgate"), "loop");
  EXPECT_EQ(after(four + ", e;by=another, f;by=streamgate2"),
            with_ours(four + ", e;by=another, f;by=streamgate2"));
}

TEST(LoopMarkTest, KeepsOnlyStreamgatesMarksOfAMalformedValue) {
  for (const char* malformed :
       {"@", "a b", "a;", "a;b", "a;b=", "a;=b", "a;b=c d", "a;b=\"c", "a;b=\"c\\", "a;b=\"c\"d",
        "a\x01", "\xff", "\"a\"", "[::1", "a:b:c", ";a=b"}) {
    EXPECT_EQ(after(malformed), "me;by=streamgate") << malformed;
    EXPECT_EQ(after("one;x=1;by=streamgate, " + std::string(malformed) + ", two;by=streamgate"),
              "one;by=streamgate, two;by=streamgate, me;by=streamgate")
        << malformed;
  }
  EXPECT_EQ(after("@;by=streamgate"), "me;by=streamgate");
}

TEST(LoopMarkTest, KeepsOnlyStreamgatesMarksOfATooLongValue) {
  const std::string longest(LoopMark::kMaxForwardedBytes, 'x');
  EXPECT_EQ(after(longest), with_ours(longest));
  EXPECT_EQ(after(longest + "x"), "me;by=streamgate");
  EXPECT_EQ(after(longest + ",a;by=streamgate"), with_ours("a;by=streamgate"));
  EXPECT_EQ(after(longest + ";by=streamgate"), "me;by=streamgate");  // no id of a Streamgate
  EXPECT_EQ(after(longest + ",me"), "loop");
}

std::string derived(const std::string& machine, std::vector<std::string> addresses) {
  std::vector<ListenSocket> listeners;
  for (const std::string& address : addresses) {
    listeners.push_back({-1, *SocketAddress::parse(address), std::nullopt});
  }
  return derive_loop_id(machine, listeners);
}

TEST(LoopIdTest, DependsOnTheMachineAndTheAddressesInAnyOrder) {
  const std::string id = derived("m1", {"0.0.0.0:8080", "[::]:8080"});
  EXPECT_EQ(id.size(), 16U);
  EXPECT_TRUE(http::is_token(id)) << id;
  EXPECT_EQ(id, derived("m1", {"[::]:8080", "0.0.0.0:8080"}));
  EXPECT_NE(id, derived("m2", {"0.0.0.0:8080", "[::]:8080"}));
  EXPECT_NE(id, derived("m1", {"0.0.0.0:8080"}));
  EXPECT_NE(id, derived("m1", {"0.0.0.0:8080", "[::]:8081"}));
  // HMAC-SHA256 by another program. Another derivation would change the id at an upgrade.
  EXPECT_EQ(id, "1074613970d1900a");
}

TEST(LoopIdTest, TheMachineHasAnIdentity) { EXPECT_FALSE(machine_identity().empty()); }

}  // namespace
}  // namespace streamgate
