#include "worker/cache/revalidation.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace streamgate {
namespace {

std::unique_ptr<StoredHead> stored(const HeaderFields& fields, int status = 200) {
  ResponseHead head;
  head.status = status;
  head.framing = Framing::length;
  head.content_length = 7;
  head.fields = fields;
  FetchFacts facts;
  facts.url = *parse_http_url("http://a.example/b");
  return parse_head(print_head(head, facts));
}

FetchFacts facts_of(std::string_view url) {
  FetchFacts out;
  out.url = *parse_http_url(url);
  return out;
}

ResponseHead not_modified(const HeaderFields& fields) {
  ResponseHead head;
  head.status = 304;
  head.framing = Framing::none;
  head.fields = fields;
  return head;
}

TEST(Revalidation, ValidatorsBecomeConditions) {
  const auto conditions = conditions_for(*stored({{"ETag", "W/\"1\""}, {"Last-Modified", "then"}}));
  ASSERT_EQ(2U, conditions.size());
  EXPECT_EQ("If-None-Match", conditions[0].name);
  EXPECT_EQ("W/\"1\"", conditions[0].value);
  EXPECT_EQ("If-Modified-Since", conditions[1].name);
  EXPECT_EQ("then", conditions[1].value);
  EXPECT_TRUE(conditions_for(*stored({{"Expires", "0"}})).empty());
  EXPECT_TRUE(conditions_for(*stored({{"ETag", "\"1\""}}, 404)).empty());
}

TEST(Revalidation, ANotModifiedBelongsToTheSameTagAndUrl) {
  const auto head = stored({{"ETag", "\"1\""}});
  const FetchFacts here = facts_of("http://a.example/b");
  EXPECT_TRUE(is_about(not_modified({{"ETag", "\"1\""}}), here, *head));
  EXPECT_TRUE(is_about(not_modified({{"ETag", "W/\"1\""}}), here, *head));
  EXPECT_TRUE(is_about(not_modified({}), here, *head));
  EXPECT_FALSE(is_about(not_modified({{"ETag", "\"2\""}}), here, *head));
  EXPECT_FALSE(is_about(not_modified({}), facts_of("http://a.example/c"), *head));
}

TEST(Revalidation, FieldsOfTheNotModifiedReplaceThoseOfTheStoredAnswer) {
  const auto old = stored({{"Content-Type", "video/mp2t"},
                           {"Cache-Control", "max-age=1"},
                           {"Cache-Control", "public"},
                           {"Age", "9"},
                           {"X-Kept", "1"}});
  const ResponseHead news = not_modified({{"cache-control", "max-age=60"},
                                          {"Content-Type", "text/html"},
                                          {"Content-Length", "0"},
                                          {"X-New", "2"}});
  const ResponseHead head = refreshed_head(*old, news);
  EXPECT_EQ(200, head.status);
  EXPECT_EQ(7U, head.content_length);
  EXPECT_EQ("video/mp2t", field_or_empty(head.fields, "Content-Type"));
  EXPECT_EQ("max-age=60", field_or_empty(head.fields, "Cache-Control"));
  EXPECT_EQ("1", field_or_empty(head.fields, "X-Kept"));
  EXPECT_EQ("2", field_or_empty(head.fields, "X-New"));
  EXPECT_FALSE(find_field(head.fields, "Age"));
  EXPECT_FALSE(find_field(head.fields, "Content-Length"));
  EXPECT_EQ(4U, head.fields.size());
}

}  // namespace
}  // namespace streamgate
