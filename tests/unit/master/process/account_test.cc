#include "master/process/account.h"

#include <gtest/gtest.h>

namespace streamgate {
namespace {

constexpr std::string_view kPasswd =
    "root:x:0:0:root:/root:/bin/bash\n"
    "# a comment\n"
    "broken:x:one:2::/:/bin/sh\n"
    "short:x:5\n"
    "\n"
    "streamgate:x:990:991::/nonexistent:/usr/sbin/nologin\n"
    "twin:x:990:7::/:/bin/sh\n"
    "1234:x:55:56::/:/bin/sh\n"
    "last:x:77:78";
constexpr std::string_view kGroup =
    "root:x:0:\n"
    "streamgate:x:991:streamgate\n"
    "ssl-cert:x:110:postgres,streamgate\n"
    "video:x:44:streamgateway,xstreamgate\n"
    "nonsense\n"
    "media:x:1005:streamgate,twin";

Account account(std::string_view user) {
  auto found = parse_account(user, kPasswd, kGroup);
  if (found) return *found;
  ADD_FAILURE() << found.error().detail;
  return {};
}

std::string problem(std::string_view user) {
  auto found = parse_account(user, kPasswd, kGroup);
  return found ? "none" : found.error().detail;
}

TEST(Account, ANameHasTheIdsOfItsFirstLine) {
  EXPECT_EQ(account("streamgate").uid, 990U);
  EXPECT_EQ(account("streamgate").gid, 991U);
  EXPECT_EQ(account("root").uid, 0U);
  EXPECT_EQ(account("last").gid, 78U);
}

TEST(Account, GroupsAreThePrimaryOneAndThoseThatNameTheUser) {
  EXPECT_EQ(account("streamgate").groups, (std::vector<gid_t>{991, 110, 1005}));
  EXPECT_EQ(account("last").groups, (std::vector<gid_t>{78}));
}

TEST(Account, AUserIdFindsTheFirstUserWithIt) {
  EXPECT_EQ(account("990").name, "streamgate");
  EXPECT_EQ(account("990").groups, (std::vector<gid_t>{991, 110, 1005}));
}

TEST(Account, ANameOfDigitsIsANameFirst) { EXPECT_EQ(account("1234").uid, 55U); }

TEST(Account, AUserIdWithAGroupIdNeedsNoEntry) {
  EXPECT_EQ(account("65532:65533").uid, 65532U);
  EXPECT_EQ(account("65532:65533").gid, 65533U);
  EXPECT_EQ(account("65532:65533").groups, (std::vector<gid_t>{65533}));
}

TEST(Account, NobodyExistsWithoutAFile) {
  EXPECT_EQ(account("nobody").uid, 65534U);
  EXPECT_EQ(account("nobody").groups, (std::vector<gid_t>{65534}));
}

TEST(Account, OtherUsersAreRejected) {
  EXPECT_EQ(problem("stranger"),
            "user: stranger: there is no such user in /etc/passwd (uid:gid needs none)");
  for (const char* user : {"broken", "short", "4321", "", "5:", ":5", "5:5:5", "-1:5", "5:x",
                           "4294967295:5", "5:4294967296", "# a comment"}) {
    EXPECT_NE(problem(user), "none") << user;
  }
}

}  // namespace
}  // namespace streamgate
