#include "worker/http/grammar.h"

#include <gtest/gtest.h>

#include <string>

namespace streamgate {
namespace {

// Texts of several sizes with each byte at each place: the checks read blocks of 16 bytes.
template <class Check>
void for_each_byte_at_each_place(Check check) {
  for (const size_t size : {1U, 15U, 16U, 17U, 31U, 32U, 33U, 40U}) {
    for (size_t place = 0; place < size; ++place) {
      for (unsigned byte = 0; byte < 256; ++byte) {
        std::string text(size, 'a');
        text[place] = static_cast<char>(byte);
        SCOPED_TRACE(testing::Message() << size << ' ' << place << ' ' << byte);
        check(text, place);
        if (testing::Test::HasFailure()) return;
      }
    }
  }
}

TEST(Grammar, TokenSizeEndsAtTheFirstByteThatIsNoTchar) {
  for_each_byte_at_each_place([](const std::string& text, size_t place) {
    const bool is_token_byte = http::is(http::kTokenByte, text[place]);
    EXPECT_EQ(http::token_size(text), is_token_byte ? text.size() : place);
  });
  EXPECT_EQ(http::token_size(""), 0U);
  EXPECT_EQ(http::token_size("Content-Type: text/plain; a=b"), 12U);
}

TEST(Grammar, IsFieldValueRefusesAControlByteAtEachPlace) {
  for_each_byte_at_each_place([](const std::string& text, size_t /*place*/) {
    EXPECT_EQ(http::is_field_value(text), http::all_are(http::kFieldByte, text));
  });
}

TEST(Grammar, IsVisibleOrBlankRefusesAnyOtherByteAtEachPlace) {
  for_each_byte_at_each_place([](const std::string& text, size_t place) {
    const char c = text[place];
    EXPECT_EQ(http::is_visible_or_blank(text), c >= ' ' && c <= '~');
  });
}

}  // namespace
}  // namespace streamgate
