#include "worker/upstream/account.h"

#include <gtest/gtest.h>

namespace streamgate {
namespace {

TEST(AccountTest, AllFormsOfAPanelsUrlsBelongToOneAccount) {
  const std::string ann = account_of("/live/ann/pw/1.ts");
  for (const char* url : {"/live/ann/pw/2.m3u8", "/LIVE/ann/pw/2", "/live/ann/pw", "/ann/pw/3",
                          "/ann/pw/3.ts", "/ann/p%77/3.ts?x=y", "/movie/ann/pw/4.mkv",
                          "/series/ann/pw/5.mp4", "/timeshift/ann/pw/60/2026-01-01:10-00/6.ts",
                          "/get.php?username=ann&password=pw&type=m3u_plus",
                          "/player_api.php?password=p%77&action=x&username=ann",
                          "/streaming/timeshift.php?username=ann&password=pw&stream=7"}) {
    EXPECT_EQ(account_of(url), ann) << url;
  }
}

TEST(AccountTest, OtherUsersAndPasswordsAreOtherAccounts) {
  const std::string ann = account_of("/live/ann/pw/1.ts");
  for (const char* url : {"/live/bob/pw/1.ts", "/live/ann/other/1.ts", "/bob/pw/1", "/annp/w/1",
                          "/get.php?username=bob&password=pw", "/get.php?username=ann&password=",
                          "/live/ann%0Apw/x/1.ts", "/live/ann"}) {
    EXPECT_NE(account_of(url), ann) << url;
  }
}

TEST(AccountTest, OfAnyOtherPathTheFirstThreeSegmentsAreTheAccount) {
  EXPECT_EQ(account_of("/a/b/c/d/e.ts?token=1"), "/a/b/c");
  EXPECT_EQ(account_of("/a/b/c/1.ts"), "/a/b/c");
  EXPECT_EQ(account_of("/a/b/c.ts"), "/a/b/c.ts");
  EXPECT_EQ(account_of("/a?username=x"), "/a");
  EXPECT_EQ(account_of("/"), "/");
  EXPECT_EQ(account_of("//a//b"), "//a/");
}

}  // namespace
}  // namespace streamgate
