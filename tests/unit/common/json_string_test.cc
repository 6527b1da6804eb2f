#include "common/json_string.h"

#include <gtest/gtest.h>

#include <string>

namespace streamgate {
namespace {

std::string json_string(std::string_view text) {
  std::string out;
  append_json_string(text, out);
  return out;
}

TEST(JsonString, QuotesPlainText) {
  EXPECT_EQ(R"("")", json_string(""));
  EXPECT_EQ("\"a /b'~\"", json_string("a /b'~"));
}

TEST(JsonString, EscapesQuotesAndBackslashes) {
  EXPECT_EQ(R"("a\"},{\\\"b")", json_string(R"(a"},{\"b)"));
}

TEST(JsonString, EscapesControlBytes) {
  EXPECT_EQ(R"("\u0000\u0009\u000d\u000a\u001f ")", json_string({"\0\t\r\n\x1f ", 6}));
  EXPECT_EQ(R"("\u001b[2J\u007f\u009b1m")", json_string("\x1b[2J\x7f\xc2\x9b"
                                                        "1m"));
}

TEST(JsonString, KeepsValidUtf8) {
  const std::string text =
      "\xc2\xa0 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xef\xbf\xbf "
      "\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf";
  EXPECT_EQ('"' + text + '"', json_string(text));
}

TEST(JsonString, ReplacesEachByteThatIsNotUtf8) {
  const std::string bad = R"(\ufffd)";
  EXPECT_EQ('"' + bad + "a\"", json_string("\xff"
                                           "a"));   // no lead byte
  EXPECT_EQ('"' + bad + '"', json_string("\x80"));  // no lead byte
  EXPECT_EQ('"' + bad + '"', json_string("\xc3"));  // cut off
  EXPECT_EQ('"' + bad + bad + "a\"", json_string("\xe2\x82"
                                                 "a"));                           // cut off
  EXPECT_EQ('"' + bad + bad + '"', json_string("\xc0\xaf"));                      // overlong
  EXPECT_EQ('"' + bad + bad + bad + '"', json_string("\xe0\x9f\xbf"));            // overlong
  EXPECT_EQ('"' + bad + bad + bad + '"', json_string("\xed\xa0\x80"));            // surrogate
  EXPECT_EQ('"' + bad + bad + bad + bad + '"', json_string("\xf0\x8f\xbf\xbf"));  // overlong
  EXPECT_EQ('"' + bad + bad + bad + bad + '"', json_string("\xf4\x90\x80\x80"));  // too large
}

TEST(JsonString, ALongTextIsCutBetweenCharacters) {
  const auto cut = [](std::string_view text, size_t most) {
    std::string out = "x";
    append_json_string(text, most, out);
    return out.substr(1);
  };
  EXPECT_EQ(R"("abcdefgh")", cut("abcdefgh", 10));
  EXPECT_EQ(R"("abcde...")", cut("abcdefghi", 10));
  EXPECT_EQ("\"abc...\"", cut("abc\xf0\x90\x80\x80zzzzz", 11));
  EXPECT_EQ(R"("...")", cut("\n\n\n", 10));
  EXPECT_EQ(R"("\u000a")", cut("\n", 8));
  for (size_t most = 8; most < 40; ++most) {
    EXPECT_LE(cut(std::string(50, '"'), most).size(), most);
    EXPECT_LE(cut(std::string(50, '\x01'), most).size(), most);
  }
}

}  // namespace
}  // namespace streamgate
