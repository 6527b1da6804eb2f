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
  EXPECT_EQ("\"a /b'~\x7f\"", json_string("a /b'~\x7f"));
}

TEST(JsonString, EscapesQuotesAndBackslashes) {
  EXPECT_EQ(R"("a\"},{\\\"b")", json_string(R"(a"},{\"b)"));
}

TEST(JsonString, EscapesControlBytes) {
  EXPECT_EQ(R"("\u0000\u0009\u000d\u000a\u001f ")", json_string({"\0\t\r\n\x1f ", 6}));
}

TEST(JsonString, KeepsValidUtf8) {
  const std::string text =
      "\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xef\xbf\xbf "
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

}  // namespace
}  // namespace streamgate
