#include "worker/explain/body_kind.h"

#include <gtest/gtest.h>

namespace streamgate {
namespace {

TEST(BodyKind, ASignatureWinsOverTheDeclaredType) {
  const BodyKind kind = body_kind_of("video/mp2t", "text/html", "<html>");
  EXPECT_EQ(kind.name, "video/mp2t");
  EXPECT_TRUE(kind.can_play);
}

TEST(BodyKind, BinaryDataIsWhatItIsDeclaredAs) {
  const std::string_view data("\x00\x01\x02", 3);
  EXPECT_EQ(body_kind_of("", " video/x; a=b", data).name, "video/x (as declared)");
  EXPECT_EQ(body_kind_of("", "", data).name, "unknown binary data");
  EXPECT_TRUE(body_kind_of("", "", data).can_play);
}

TEST(BodyKind, TextIsNamedByItsFirstCharacters) {
  const auto name = [](std::string_view text, std::string_view declared = "text/plain") {
    const BodyKind kind = body_kind_of("", declared, text);
    EXPECT_EQ(kind.can_play, kind.advice.empty()) << text;
    return kind.name;
  };
  EXPECT_EQ(name("\xef\xbb\xbf \r\n<?xml version='1.0'?><MPD>"), "DASH manifest");
  EXPECT_EQ(name("<!-- a --><HTML lang='a'>"), "HTML page");
  EXPECT_EQ(name("<script>"), "HTML page");
  EXPECT_EQ(name("<rss>"), "XML document");
  EXPECT_EQ(name("{\"error\":1}"), "JSON document");
  EXPECT_EQ(name("\n[1]"), "JSON document");
  EXPECT_EQ(name("Not found", "Text/HTML; charset=utf-8"), "HTML page");
  EXPECT_EQ(name("Not found"), "text");
  EXPECT_EQ(name(""), "empty body");
}

TEST(BodyKind, DamagedDataDoesNotPlay) {
  EXPECT_FALSE(damaged_body().can_play);
  EXPECT_NE(damaged_body().advice, "");
}

}  // namespace
}  // namespace streamgate
