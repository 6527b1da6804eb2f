#include "common/published.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace streamgate {
namespace {

struct Numbers {
  std::array<uint64_t, 32> values{};
};

Numbers all(uint64_t value) {
  Numbers out;
  out.values.fill(value);
  return out;
}

TEST(Published, ThereIsNoValueBeforeTheFirstPut) {
  Published<Numbers> published;
  EXPECT_FALSE(published.get());
  published.put(all(7));
  EXPECT_EQ(all(7).values, published.get()->values);
}

TEST(Published, AReaderNeverSeesAPartOfAValue) {
  Published<Numbers> published;
  published.put(all(0));
  std::atomic<bool> over{false};
  std::thread writer([&] {
    for (uint64_t value = 1; !over; ++value) published.put(all(value));
  });
  for (int i = 0; i < 20'000; ++i) {
    const auto read = published.get();
    if (!read) continue;
    ASSERT_EQ(all(read->values.front()).values, read->values);
  }
  over = true;
  writer.join();
}

// A writer that is killed inside put() leaves an odd sequence number, which is the first word.
TEST(Published, AHalfWrittenValueIsNotRead) {
  Published<Numbers> published;
  published.put(all(7));
  auto& sequence = reinterpret_cast<std::atomic<uint64_t>&>(published);
  sequence = 3;
  EXPECT_FALSE(published.get());
  published.put(all(8));
  EXPECT_EQ(all(8).values, published.get()->values);
}

TEST(FixedText, ALongTextIsCut) {
  EXPECT_EQ("", FixedText<4>().view());
  EXPECT_EQ("abc", FixedText<4>("abc").view());
  EXPECT_EQ("abcd", FixedText<4>("abcd").view());
  EXPECT_EQ("abcd", FixedText<4>("abcde").view());
}

}  // namespace
}  // namespace streamgate
