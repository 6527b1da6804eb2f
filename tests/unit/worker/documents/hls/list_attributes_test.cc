#include "worker/documents/hls/list_attributes.h"

#include <gtest/gtest.h>

#include <vector>

namespace streamgate {
namespace {

std::string urls_of(std::string_view tag) {
  ListAttributes attributes(tag);
  std::string out;
  for (ListAttributes::Url url; attributes.next(url);) {
    out.append(url.text).append(url.has_placeholders ? "{};" : ";");
  }
  return out;
}

TEST(ListAttributes, AreFoundInAnyQuoting) {
  EXPECT_EQ(
      urls_of("EXTINF:-1 tvg-logo=\"http://h/a,b\" TVG-LOGO='c' tvg-logo=d tvg-logo = \"e\",T"),
      "http://h/a,b;c;d;e;");
  EXPECT_EQ(urls_of("EXTM3U url-tvg=\"http://a/x, https://b/y,z\" x-tvg-url=http://c/"),
            "http://a/x;https://b/y,z;http://c/;");
  EXPECT_EQ(urls_of("EXTINF:-1 catchup-source=\"http://h/{utc}\",T"), "http://h/{utc}{};");
}

TEST(ListAttributes, PlaceholdersKeepTheirControlBytesEncoded) {
  EXPECT_EQ(with_raw_placeholders("u%257Ba%2520b%257D"), "u{a b}");
  EXPECT_EQ(with_raw_placeholders("u/$%7Ba%20b%7D", LinkForm::path), "u/${a b}");
  EXPECT_EQ(with_raw_placeholders("u%257B%250Ahttp://h/%257D"), "u{%0Ahttp://h/}");
  EXPECT_EQ(with_raw_placeholders("u%257B%257F%2500%257D"), "u{%7F%00}");
}

TEST(ListAttributes, EndWithTheTitleAndWithAnOpenQuote) {
  for (const char* tag : {"EXTINF:-1,tvg-logo=\"a\"", "EXTINF:-1 x=\"y\",T tvg-logo=\"a\"",
                          "EXTINF:-1 tvg-logo=\"a", "EXTINF:-1 x='y tvg-logo=\"a\"",
                          "EXTINF:-1 group=\"tvg-logo=a\",T", "EXTINF:-1 tvg-logo=\"\",T",
                          "EXTINF:-1 my-tvg-logo=\"a\",T", "EXTINF", "EXTINF:-1 tvg-logo=", ""}) {
    EXPECT_EQ(urls_of(tag), "") << tag;
  }
}

TEST(ListAttributes, PlaceholdersAreRestored) {
  for (const auto& [encoded, expected] : std::vector<std::pair<std::string, std::string>>{
           {"u%3D%257Butc%257D", "u%3D{utc}"},
           {"%24%257Bstart%257D%26", "${start}%26"},
           {"%257Butc%3AY-m-d%2520H%257D%257BS%257D", "{utc:Y-m-d H}{S}"},
           {"%257Bopen", "%257Bopen"},
           {"%257B%2522%257D", "{%22}"},
           {"%257D%24", "%257D%24"}}) {
    EXPECT_EQ(with_raw_placeholders(encoded), expected);
  }
}

}  // namespace
}  // namespace streamgate
