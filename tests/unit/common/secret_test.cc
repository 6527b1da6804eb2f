#include "common/secret.h"

#include <gtest/gtest.h>

#include <string>

namespace streamgate {
namespace {

TEST(Secret, HoldsAText) {
  EXPECT_TRUE(Secret().empty());
  EXPECT_TRUE(Secret("").empty());
  const Secret secret("a key");
  EXPECT_EQ("a key", secret.view());
  EXPECT_EQ(Secret(std::string("a key")), secret);
  EXPECT_FALSE(Secret("another key") == secret);
}

TEST(Secret, WipeEmptiesEveryCopyAndOverwritesTheBytes) {
  const Secret secret("a key");
  const Secret copy = secret;
  const std::string_view before = copy.view();
  secret.wipe();
  EXPECT_TRUE(copy.empty());
  EXPECT_EQ(std::string(5, '\0'), before);  // the pages stay until the last copy ends
}

TEST(Secret, WipeOverwritesAString) {
  std::string text = "a long text that is not stored in the string object";
  const char* bytes = text.data();
  const size_t size = text.size();
  wipe(text);
  EXPECT_TRUE(text.empty());
  EXPECT_EQ(std::string(size - 1, '\0'), std::string(bytes + 1, size - 1));
}

}  // namespace
}  // namespace streamgate
