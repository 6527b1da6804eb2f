#include "worker/http/media_type.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace streamgate {
namespace {

HeaderFields types(const std::vector<std::string_view>& values) {
  HeaderFields fields = {{"Server", "x"}};
  for (const std::string_view value : values) fields.push_back({"content-type", value});
  return fields;
}

std::string essence_of(const std::vector<std::string_view>& values) {
  return std::string(extract_media_type(types(values)).essence);
}

TypeClass class_of_fields(const std::vector<std::string_view>& values) {
  const HeaderFields fields = types(values);
  return declared_class(fields, extract_media_type(fields));
}

TEST(MediaType, LastValidOfSeveralValuesCounts) {
  EXPECT_EQ(essence_of({}), "");
  EXPECT_EQ(essence_of({"video/mp4"}), "video/mp4");
  EXPECT_EQ(essence_of({"text/plain, text/html"}), "text/html");
  EXPECT_EQ(essence_of({"text/html,text/plain;a=b"}), "text/plain");
  EXPECT_EQ(essence_of({"text/plain", "text/html"}), "text/html");
  EXPECT_EQ(essence_of({"text/html, */*"}), "text/html");
  EXPECT_EQ(essence_of({"text/html, nonsense, /, a/, /b,"}), "text/html");
  EXPECT_EQ(essence_of({"text/html", "x"}), "text/html");
}

TEST(MediaType, CommaInsideAQuotedStringSeparatesNothing) {
  EXPECT_EQ(essence_of({R"(video/mp4; a="x, text/html")"}), "video/mp4");
  EXPECT_EQ(essence_of({R"(video/mp4; a="\", text/html")"}), "video/mp4");
  EXPECT_EQ(essence_of({R"(video/mp4; a="x", text/html)"}), "text/html");
}

TEST(MediaType, PlainMediaIsOneFieldWithoutAComma) {
  EXPECT_EQ(plain_media_type(types({"video/mp4; codecs=x"})), "video/mp4; codecs=x");
  EXPECT_EQ(plain_media_type(types({"image/svg+xml"})), "image/svg+xml");
  EXPECT_EQ(plain_media_type(types({"application/vnd.apple.mpegurl"})),
            "application/vnd.apple.mpegurl");
  EXPECT_FALSE(plain_media_type(types({"application/vnd.apple.mpegurl, text/html"})));
  EXPECT_FALSE(plain_media_type({}));
  EXPECT_FALSE(plain_media_type(types({"video/mp4, text/html"})));
  EXPECT_FALSE(plain_media_type(types({"video/mp4", "text/html"})));
  EXPECT_FALSE(plain_media_type(types({"text/html", "video/mp4"})));
  EXPECT_FALSE(plain_media_type(types({"text/html"})));
}

TEST(MediaType, TextAfterTheSubtypeIsNotPartOfIt) {
  for (const char* value : {"text/html x", "text/html(x)", "text/html\tx", "text/html;",
                            "text/html ", "text/html ; charset=x", "\ttext/html"}) {
    EXPECT_EQ(essence_of({value}), "text/html") << value;
  }
}

TEST(MediaType, ParametersAndPlainnessAreKept) {
  const HeaderFields one = types({"text/html ; charset=utf-8"});
  EXPECT_EQ(extract_media_type(one).parameters, "; charset=utf-8");
  EXPECT_TRUE(extract_media_type(one).is_plain);
  EXPECT_FALSE(extract_media_type(types({"a/b, c/d"})).is_plain);
  EXPECT_FALSE(extract_media_type(types({"a/b", "c/d"})).is_plain);
  EXPECT_EQ(extract_media_type(types({"a/b;x", "c/d;y"})).value, "c/d;y");
  EXPECT_EQ(extract_media_type(types({"video"})).value, "video");
}

TEST(MediaType, ClassOfATypeFollowsFromItsUseInBrowsers) {
  for (const char* type : {"text/html",
                           "TEXT/HTML",
                           "application/xhtml+xml",
                           "text/xsl",
                           "application/xslt+xml",
                           "text/css",
                           "text/javascript",
                           "application/javascript",
                           "application/x-javascript",
                           "application/ecmascript",
                           "application/x-ecmascript",
                           "text/ecmascript",
                           "text/x-ecmascript",
                           "text/x-javascript",
                           "text/jscript",
                           "text/livescript",
                           "text/javascript1.0",
                           "text/javascript1.1",
                           "text/javascript1.2",
                           "text/javascript1.3",
                           "text/javascript1.4",
                           "text/javascript1.5"}) {
    EXPECT_EQ(class_of(type), TypeClass::active) << type;
  }
  for (const char* type :
       {"image/svg+xml", "video/mp2t", "audio/aac", "text/vtt", "font/woff2",
        "multipart/byteranges", "application/vnd.apple.mpegurl", "application/dash+xml"}) {
    EXPECT_EQ(class_of(type), TypeClass::media) << type;
  }
  for (const char* type : {"", "text/plain", "application/octet-stream", "unknown/unknown"}) {
    EXPECT_EQ(class_of(type), TypeClass::vague) << type;
  }
  for (const char* type : {"text/xml", "application/xml", "application/json", "application/zip",
                           "text/html5", "xtext/html"}) {
    EXPECT_EQ(class_of(type), TypeClass::other) << type;
  }
}

TEST(MediaType, AmbiguousFieldsAreActiveIfAnyReadingIs) {
  EXPECT_EQ(class_of_fields({"text/plain, text/html"}), TypeClass::active);
  EXPECT_EQ(class_of_fields({"video/mp4", "text/html"}), TypeClass::active);
  EXPECT_EQ(class_of_fields({"text/html, video/mp4"}), TypeClass::media);
  EXPECT_EQ(class_of_fields({R"(video/mp4; a="x, text/html; b")"}), TypeClass::active);
  EXPECT_EQ(class_of_fields({R"(multipart/x-mixed-replace; boundary="a,b")"}), TypeClass::media);
}

}  // namespace
}  // namespace streamgate
