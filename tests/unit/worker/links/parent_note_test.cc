#include "worker/links/parent_note.h"

#include <gtest/gtest.h>

#include <string>

#include "worker/http/base64url.h"
#include "worker/links/grant.h"

namespace streamgate {
namespace {

class ParentNote : public testing::Test {
 protected:
  ParentNote() {
    for (const char* id : {"one", "two"}) {
      TokenKey key;
      key.id = id;
      key.secret = std::string("0123456789abcdef0123456789abcdef") + id;
      config_.keys.push_back(key);
    }
    keys_.emplace(config_);
    access_.key = config_.keys.data();
    setting_.grant_keys = &*keys_;
  }

  std::string read(std::string_view note) {
    setting_.variables = note;
    return read_parent_note(setting_);
  }

  SecurityConfig config_;
  std::optional<GrantKeys> keys_;
  Access access_;
  DocumentSetting setting_;
};

TEST_F(ParentNote, IsReadAsItWasWritten) {
  for (const std::string text : {"a=\"b c\",", "x", "a b \xff"}) {
    EXPECT_EQ(read(write_parent_note(text, setting_)), text);
  }
  EXPECT_EQ(write_parent_note("", setting_), "");
  EXPECT_EQ(read(""), "");
  EXPECT_EQ(read("%"), "");
  EXPECT_EQ(write_parent_note(std::string(7000, 'x'), setting_), "");
}

TEST_F(ParentNote, InLinksWithGrantsOnlyTheProxyWritesIt) {
  std::string unsealed;
  append_base64url("a=\"b\",", unsealed);
  setting_.access = &access_;
  const std::string note = write_parent_note("a=\"b\",", setting_);
  EXPECT_EQ(read(note), "a=\"b\",");
  EXPECT_EQ(read(unsealed), "");
  std::string text = decode_base64url(note).value();
  text[3] = 'c';
  std::string changed;
  append_base64url(text, changed);
  EXPECT_EQ(read(changed), "");
  access_.key = &config_.keys[1];
  EXPECT_EQ(read(note), "");
}

}  // namespace
}  // namespace streamgate
