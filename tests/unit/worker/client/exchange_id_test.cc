#include "worker/client/exchange_id.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace streamgate {
namespace {

TEST(ExchangeIdTest, EachIdIsNewAndHasThirteenLettersAndDigits) {
  ExchangeIds ids;
  std::set<std::string> seen;
  constexpr size_t kCount = 10'000;
  for (size_t i = 0; i < kCount; ++i) {
    const ExchangeId id = ids.next();
    ASSERT_EQ(id.text().size(), 13U);
    ASSERT_EQ(id.text().find_first_not_of("0123456789abcdefghjkmnpqrstvwxyz"), std::string::npos);
    seen.emplace(id.text());
  }
  EXPECT_EQ(seen.size(), kCount);
}

TEST(ExchangeIdTest, WorkersBeginAtDifferentNumbers) {
  ExchangeIds one;
  ExchangeIds other;
  EXPECT_NE(one.next().text(), other.next().text());
}

TEST(ExchangeIdTest, AllBitsOfTheCounterAreInTheId) {
  std::set<std::string> seen;
  for (unsigned bit = 0; bit < 64; ++bit) {
    seen.emplace(ExchangeIds(uint64_t{1} << bit).next().text());
  }
  EXPECT_EQ(seen.size(), 64U);
}

TEST(ExchangeIdTest, TheFieldIsOneHeaderLine) {
  EXPECT_EQ(ExchangeId("front-1").field(), "X-Streamgate-Id: front-1\r\n");
  EXPECT_EQ(ExchangeId("front-1").text(), "front-1");
  EXPECT_EQ(ExchangeId().field(), "");
  EXPECT_EQ(ExchangeId().text(), "");
  const std::string longest(ExchangeId::kMaxBytes, 'x');
  EXPECT_EQ(ExchangeId(longest).field(), "X-Streamgate-Id: " + longest + "\r\n");
}

TEST(ExchangeIdTest, AGivenIdIsTakenOnlyIfItIsWellFormed) {
  const auto given = [](std::string_view value) {
    return given_exchange_id({{"Host", "x"}, {"x-streamgate-id", value}});
  };
  const std::string longest(ExchangeId::kMaxBytes, 'x');
  for (const std::string& id :
       {std::string("a"), std::string("3f0c2f0e-9f0a-4c5e-8a3e-0c1d2e3f4a5b"),
        std::string("7F000001:B2F4_0A:01_ab.9"), longest}) {
    EXPECT_EQ(given(id), id);
  }
  for (const std::string& text :
       {std::string(), longest + "x", std::string("a b"), std::string("a\"b"), std::string("a=b"),
        std::string("a,b"), std::string("a\x1b[2J"), std::string("\xc3\xa9"), std::string("a/b"),
        std::string("a\\b"), std::string("<b>")}) {
    EXPECT_EQ(given(text), std::nullopt) << text;
  }
  EXPECT_EQ(given_exchange_id({}), std::nullopt);
  // A client's own field beside the proxy's.
  EXPECT_EQ(given_exchange_id({{"X-Streamgate-Id", "a"}, {"X-Streamgate-Id", "b"}}), std::nullopt);
}

}  // namespace
}  // namespace streamgate
