#include "worker/documents/utf16.h"

#include <gtest/gtest.h>

namespace streamgate {
namespace {

using namespace std::string_literals;

std::string decoded(std::string_view bytes, size_t piece) {
  Utf16Decoder decoder;
  std::string out;
  for (size_t at = 0; at < bytes.size(); at += piece) decoder.decode(bytes.substr(at, piece), out);
  return out;
}

TEST(Utf16, IsRecognisedByItsByteOrderMark) {
  for (const char* text : {"\xFF", "\xFE", "\xFF\xFE", "\xFE\xFF", "\xFF\xFEx"}) {
    EXPECT_TRUE(may_be_utf16(text)) << text;
  }
  for (const char* text : {"", "#", "\xEF\xBB\xBF", "\xFF\xFF", "\xFF\xF1", "\xFE\xFE"}) {
    EXPECT_FALSE(may_be_utf16(text)) << text;
  }
}

TEST(Utf16, BecomesUtf8InPiecesOfAnySize) {
  const std::string big = "\xFE\xFF\0a\0\xE9\x76\xF4\xD8\x3D\xDE\x00\0\n"s;
  const std::string little =
      "\xFF\xFE"
      "a\0\xE9\0\xF4\x76\x3D\xD8\x00\xDE\n\0"s;
  for (size_t piece = 1; piece <= big.size(); ++piece) {
    EXPECT_EQ(decoded(big, piece), "a\xC3\xA9\xE7\x9B\xB4\xF0\x9F\x98\x80\n");
    EXPECT_EQ(decoded(little, piece), "a\xC3\xA9\xE7\x9B\xB4\xF0\x9F\x98\x80\n");
  }
}

TEST(Utf16, LoneSurrogatesAreReplaced) {
  EXPECT_EQ(decoded("\xFE\xFF\xD8\x3D\0a\xDE\0\xD8\x3D\xD8\x3D\xDE\0"s, 2),
            "\xEF\xBF\xBD"
            "a\xEF\xBF\xBD\xEF\xBF\xBD\xF0\x9F\x98\x80");
}

}  // namespace
}  // namespace streamgate
