#include "common/ascii.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace streamgate {
namespace {

// Sizes below, at and above those of the words that are compared at once.
constexpr size_t kMaxSize = 40;

TEST(Ascii, IequalsIgnoresTheCaseOfLettersAtEachPlace) {
  for (size_t size = 0; size < kMaxSize; ++size) {
    const std::string text(size, 'x');
    EXPECT_TRUE(ascii::iequals(text, text)) << size;
    for (size_t place = 0; place < size; ++place) {
      std::string other = text;
      other[place] = 'X';
      EXPECT_TRUE(ascii::iequals(text, other)) << size << ' ' << place;
      EXPECT_TRUE(ascii::iequals(other, text)) << size << ' ' << place;
    }
  }
}

TEST(Ascii, IequalsFindsADifferentBitAtEachPlace) {
  for (size_t size = 1; size < kMaxSize; ++size) {
    const std::string text(size, '-');  // no letter: its case bit counts too
    for (size_t place = 0; place < size; ++place) {
      for (unsigned bit = 0; bit < 8; ++bit) {
        std::string other = text;
        other[place] = static_cast<char>('-' ^ (1U << bit));
        EXPECT_FALSE(ascii::iequals(text, other)) << size << ' ' << place << ' ' << bit;
      }
    }
  }
}

TEST(Ascii, IequalsComparesBytesOutsideAsciiExactly) {
  EXPECT_FALSE(ascii::iequals("@@@@@@@@", "````````"));
  EXPECT_FALSE(ascii::iequals("[", "{"));
  EXPECT_FALSE(ascii::iequals("\xc4\xc4\xc4\xc4", "\xe4\xe4\xe4\xe4"));
  EXPECT_FALSE(ascii::iequals("Range", "Ranges"));
}

TEST(Ascii, FindAnyFindsTheFirstStopFromEachPlaceOn) {
  constexpr size_t kNone = std::string_view::npos;
  for (size_t size = 0; size < kMaxSize; ++size) {
    for (size_t from = 0; from <= size + 1; ++from) {
      std::string text(size, 'x');
      EXPECT_EQ((ascii::find_any<'?', '#'>(text, from)), kNone) << size << ' ' << from;
      for (size_t place = size; place-- > 0;) {
        text[place] = place % 2 == 0 ? '?' : '#';
        EXPECT_EQ((ascii::find_any<'?', '#'>(text, from)),
                  from < size ? std::max(place, from) : kNone)
            << size << ' ' << from << ' ' << place;
      }
    }
  }
}

TEST(Ascii, TakeWordTakesTheBlanksBeforeTheWord) {
  std::string_view line = " \tone two\r";
  EXPECT_EQ(ascii::take_word(line), "one");
  EXPECT_EQ(line, " two\r");
  EXPECT_EQ(ascii::take_word(line), "two");
  EXPECT_EQ(ascii::take_word(line), "");
}

}  // namespace
}  // namespace streamgate
