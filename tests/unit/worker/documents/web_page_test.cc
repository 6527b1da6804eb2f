#include "worker/documents/web_page.h"

#include <gtest/gtest.h>

namespace streamgate {
namespace {

TEST(WebPage, BeginsWithATag) {
  for (const char* text :
       {"<!DOCTYPE html>", "<html>", "<HTML lang=en>", "\r\n  <html>",
        "\xEF\xBB\xBF<!doctype html >", "<!-- x -->\n<html>", "<!-- x --><!-- y --><body>",
        "<?xml version=\"1.0\"?>\n<!DOCTYPE html PUBLIC>", "<script>", "<h1>403</h1>", "<br/>",
        "<meta charset=utf-8>"}) {
    EXPECT_TRUE(begins_like_web_page(text)) << text;
  }
}

TEST(WebPage, OtherTextIsNoWebPage) {
  for (const char* text : {"", "#EXTM3U\n<html>", "<", "<htm", "<html", "<htmlx>", "<MPD xmlns=x>",
                           "<?xml version=\"1.0\"?><smil>", "<!-- unfinished", "<asx version=3>",
                           "<!DOCTYPE svg>", "{}", "x<html>", "G@\x11\x10"}) {
    EXPECT_FALSE(begins_like_web_page(text)) << text;
  }
}

}  // namespace
}  // namespace streamgate
