#include "worker/http/base64.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

namespace streamgate {
namespace {

TEST(Base64Test, HasTheVectorsOfRfc4648) {
  const std::pair<std::string_view, std::string_view> vectors[] = {
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"fooba", "Zm9vYmE="},
      {"foobar", "Zm9vYmFy"},
      {"\xfb\xef\xff", "++//"},
  };
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(encode_base64(bytes), text);
    EXPECT_EQ(decode_base64(text), bytes);
    EXPECT_EQ(decode_base64(text.substr(0, text.find('='))), bytes);
  }
}

TEST(Base64Test, AnImpossibleTextHasNoBytes) {
  for (const std::string_view text : {"Z", "Zh==", "Zm9v=Zg", "Zm 9v", "=Zm8"}) {
    EXPECT_FALSE(decode_base64(text)) << text;
  }
}

TEST(Base64Test, TheUrlFormHasNoPadding) {
  std::string out;
  append_base64url("\xfb\xef\xff?", out);
  EXPECT_EQ(out, "--__Pw");
  EXPECT_EQ(decode_base64url("--__Pw"), "\xfb\xef\xff?");
  EXPECT_FALSE(decode_base64url("--__Pw=="));
}

TEST(Base64Test, EachLengthAndEachByteComesBack) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    std::string text = "before.";
    append_base64url(bytes, text);
    EXPECT_EQ(decode_base64url(std::string_view(text).substr(7)), bytes) << text;
    bytes.insert(0, 1, static_cast<char>(i * 7));
  }
}

TEST(Base64Test, OneWrongByteOrUnusedBitAnywhereIsRefused) {
  const std::string text = "Zm9vYmE";
  for (size_t i = 0; i < text.size(); ++i) {
    for (const char wrong : {'+', '/', '=', '%', '.', '\0', '\x80', '\xff'}) {
      std::string broken = text;
      broken[i] = wrong;
      EXPECT_FALSE(decode_base64url(broken)) << broken;
    }
  }
  for (const std::string_view unused : {"Zm9vYmF", "Zm9vYmG", "Zm9vZh", "Zm9vZo"}) {
    EXPECT_FALSE(decode_base64url(unused)) << unused;
  }
}

}  // namespace
}  // namespace streamgate
