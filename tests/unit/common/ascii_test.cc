#include "common/ascii.h"

#include <gtest/gtest.h>

#include <string>

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

}  // namespace
}  // namespace streamgate
