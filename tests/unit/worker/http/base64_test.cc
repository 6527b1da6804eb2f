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

}  // namespace
}  // namespace streamgate
