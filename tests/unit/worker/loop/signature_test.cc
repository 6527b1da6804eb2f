#include "worker/loop/signature.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

#include "common/hex.h"

namespace streamgate {
namespace {

std::string mac_in_hex(const HmacKey& key, std::string_view text) {
  const std::string mac = key.mac_of(text);
  return in_hex({reinterpret_cast<const unsigned char*>(mac.data()), mac.size()});
}

TEST(SignatureTest, AHmacKeyHasTheVectorsOfRfc4231) {
  const struct {
    std::string key;
    std::string_view text;
    std::string_view mac;
  } vectors[] = {
      {"Jefe", "what do ya want for nothing?",
       "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
      {std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First",
       "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
  };
  for (const auto& vector : vectors) {
    const HmacKey key(vector.key);
    EXPECT_EQ(mac_in_hex(key, vector.text), vector.mac);
    EXPECT_EQ(hmac_sha256_in_hex(vector.key, vector.text), vector.mac);
  }
}

TEST(SignatureTest, TheMacsOfOneKeyDoNotDependOnEachOther) {
  HmacKey first("Jefe");
  const std::string text = "what do ya want for nothing?";
  const std::string mac = first.mac_of(text);
  EXPECT_NE(first.mac_of("other"), mac);
  EXPECT_EQ(first.mac_of(text), mac);
  const HmacKey other("another key");
  EXPECT_NE(other.mac_of(text), mac);
  const HmacKey moved = std::move(first);
  EXPECT_EQ(moved.mac_of(text), mac);
}

}  // namespace
}  // namespace streamgate
