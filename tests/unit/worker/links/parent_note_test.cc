#include "worker/links/parent_note.h"

#include <gtest/gtest.h>

#include <string>

namespace streamgate {
namespace {

TEST(ParentNote, IsReadAsItWasWritten) {
  for (const std::string text : {"a=\"b c\",", "x", "a b \xff", ""}) {
    EXPECT_EQ(read_parent_note(write_parent_note(text)), text);
  }
}

TEST(ParentNote, IsEmptyIfItIsTooLongForALinkOrNotBase64url) {
  EXPECT_EQ(write_parent_note(std::string(7000, 'x')), "");
  EXPECT_EQ(read_parent_note(""), "");
  EXPECT_EQ(read_parent_note("%"), "");
}

}  // namespace
}  // namespace streamgate
