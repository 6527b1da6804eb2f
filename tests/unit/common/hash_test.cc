#include "common/hash.h"

#include <gtest/gtest.h>

namespace streamgate {
namespace {

// Programs of two versions share tables during an upgrade.
TEST(HashTest, TheValuesNeverChange) {
  EXPECT_EQ(hash_of("", kHashSeed), 0xaf64724c8602eb6eU);
  EXPECT_EQ(hash_of("cdn.example", kHashSeed), 0xdf91e9f44a5c55cdU);
  EXPECT_EQ(mix(0), 0U);
  EXPECT_EQ(mix(1), 0x5692161d100b05e5U);
}

TEST(HashTest, TheEndOfATextCounts) {
  EXPECT_NE(hash_of("b", hash_of("a", kHashSeed)), hash_of("ab", kHashSeed));
}

}  // namespace
}  // namespace streamgate
