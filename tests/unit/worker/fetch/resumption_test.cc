#include "worker/fetch/resumption.h"

#include <gtest/gtest.h>

namespace streamgate {
namespace {

using Fields = HeaderFields;

ResponseHead head_of(int status, uint64_t length, Fields fields) {
  ResponseHead head;
  head.status = status;
  head.framing = Framing::length;
  head.content_length = length;
  head.fields = std::move(fields);
  return head;
}

std::optional<Resumption> resumption_of(const ResponseHead& head) {
  return Resumption::of(head, Resumption::Unverified::rejected);
}

const Fields kTagged = {{"ETag", "\"v1\""}};

TEST(Resumption, RequestsTheMissingBytesOfAFullBody) {
  const auto rest = resumption_of(head_of(200, 1000, kTagged));
  ASSERT_TRUE(rest);
  EXPECT_EQ("bytes=0-999", rest->range(0));
  EXPECT_EQ("bytes=400-999", rest->range(400));
  EXPECT_EQ("\"v1\"", rest->validator());
  EXPECT_FALSE(rest->is_complete(999));
  EXPECT_TRUE(rest->is_complete(1000));
}

TEST(Resumption, RequestsTheMissingBytesOfARange) {
  const auto rest = resumption_of(
      head_of(206, 100, {{"etag", "\"v1\""}, {"Content-Range", "bytes 500-599/1000"}}));
  ASSERT_TRUE(rest);
  EXPECT_EQ("bytes=540-599", rest->range(40));
}

TEST(Resumption, NeedsAStrongValidator) {
  EXPECT_FALSE(resumption_of(head_of(200, 1000, {})));
  EXPECT_FALSE(resumption_of(head_of(200, 1000, {{"ETag", "W/\"v1\""}})));
  EXPECT_FALSE(resumption_of(head_of(200, 1000, {{"ETag", "v1"}})));
  EXPECT_FALSE(resumption_of(head_of(200, 1000, {{"ETag", "\"v1\", \"v2\""}})));
  const HeaderField modified{"Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"};
  EXPECT_FALSE(resumption_of(head_of(200, 1000, {modified})));
  EXPECT_FALSE(
      resumption_of(head_of(200, 1000, {modified, {"Date", "Sun, 06 Nov 1994 08:49:38 GMT"}})));
  const HeaderField later{"Date", "Sun, 06 Nov 1994 08:50:37 GMT"};
  const auto rest = resumption_of(head_of(200, 1000, {modified, later}));
  ASSERT_TRUE(rest);
  EXPECT_EQ(modified.value, rest->validator());
  // A weak tag says that the bytes may differ.
  EXPECT_FALSE(resumption_of(head_of(200, 1000, {{"ETag", "W/\"v1\""}, modified, later})));
}

TEST(Resumption, NeedsAKnownLengthAndOffset) {
  ResponseHead chunked = head_of(200, 0, kTagged);
  chunked.framing = Framing::chunked;
  EXPECT_FALSE(resumption_of(chunked));
  EXPECT_FALSE(resumption_of(head_of(404, 1000, kTagged)));
  for (const char* range : {"", "bytes 500-599/*", "bytes 500-598/1000", "bytes */1000",
                            "items 500-599/1000", "bytes 500-599/550", "bytes 599-500/1000"}) {
    EXPECT_FALSE(resumption_of(head_of(206, 100, {{"ETag", "\"v1\""}, {"Content-Range", range}})))
        << range;
  }
}

class ResumptionCheck : public testing::Test {
 protected:
  bool is_accepted(const ResponseHead& head) {
    return resumption_of(first)->check(head, 400).has_value();
  }
  static ResponseHead answer(std::string_view range, uint64_t length, std::string_view tag) {
    return head_of(206, length, {{"Content-Range", range}, {"ETag", tag}});
  }

  ResponseHead first = head_of(200, 1000, kTagged);
};

TEST_F(ResumptionCheck, TheMissingBytesOfTheSameRepresentationAreAccepted) {
  EXPECT_TRUE(is_accepted(answer("bytes 400-999/1000", 600, "\"v1\"")));
}

TEST_F(ResumptionCheck, EveryOtherAnswerIsRefused) {
  EXPECT_FALSE(is_accepted(answer("bytes 399-999/1000", 601, "\"v1\"")));
  EXPECT_FALSE(is_accepted(answer("bytes 401-999/1000", 599, "\"v1\"")));
  EXPECT_FALSE(is_accepted(answer("bytes 400-998/1000", 599, "\"v1\"")));
  EXPECT_FALSE(is_accepted(answer("bytes 400-999/1001", 600, "\"v1\"")));
  EXPECT_FALSE(is_accepted(answer("bytes 400-999/*", 600, "\"v1\"")));
  EXPECT_FALSE(is_accepted(answer("bytes 400-999/1000", 601, "\"v1\"")));
  EXPECT_FALSE(is_accepted(answer("bytes 400-999/1000", 600, "\"v2\"")));
  EXPECT_FALSE(is_accepted(answer("bytes 400-999/1000", 600, "W/\"v1\"")));
  EXPECT_FALSE(is_accepted(head_of(206, 600, {{"Content-Range", "bytes 400-999/1000"}})));
  EXPECT_FALSE(is_accepted(head_of(200, 1000, kTagged)));
  EXPECT_FALSE(
      is_accepted(head_of(200, 600, {{"Content-Range", "bytes 400-999/1000"}, kTagged[0]})));
  ResponseHead coded = answer("bytes 400-999/1000", 600, "\"v1\"");
  coded.fields.push_back({"Content-Encoding", "gzip"});
  EXPECT_FALSE(is_accepted(coded));
  ResponseHead chunked = answer("bytes 400-999/1000", 600, "\"v1\"");
  chunked.framing = Framing::chunked;
  EXPECT_FALSE(is_accepted(chunked));
}

TEST_F(ResumptionCheck, ALastModifiedValidatorMustBeRepeated) {
  const HeaderField modified{"Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"};
  first = head_of(200, 1000, {modified, {"Date", "Mon, 07 Nov 1994 08:49:37 GMT"}});
  ResponseHead again = head_of(206, 600, {{"Content-Range", "bytes 400-999/1000"}});
  EXPECT_FALSE(is_accepted(again));
  again.fields.push_back(modified);
  EXPECT_TRUE(is_accepted(again));
  again.fields.back().value = "Sun, 06 Nov 1994 08:49:38 GMT";
  EXPECT_FALSE(is_accepted(again));
}

TEST(HttpDate, OnlyImfFixdateIsParsed) {
  EXPECT_EQ(784'111'777, parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"));
  EXPECT_EQ(std::nullopt, parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT"));
  EXPECT_EQ(std::nullopt, parse_http_date("Sun, 06 Nov 1994 08:49:37 CET"));
  EXPECT_EQ(std::nullopt, parse_http_date(""));
}

TEST(Resumption, UnverifiedResumptionRequiresTheSameTotalLength) {
  const auto of = [](const Fields& fields) {
    return Resumption::of(head_of(200, 1000, fields), Resumption::Unverified::accepted);
  };
  const auto rest = of({});
  ASSERT_TRUE(rest);
  EXPECT_EQ(rest->validator(), "");
  const HeaderField range = {"Content-Range", "bytes 400-999/1000"};
  EXPECT_TRUE(rest->check(head_of(206, 600, {range}), 400).has_value());
  EXPECT_FALSE(rest->check(head_of(206, 600, {{"Content-Range", "bytes 400-999/1001"}}), 400));
  const auto weak = of({{"ETag", "W/\"1\""}, {"Last-Modified", "x"}});
  ASSERT_TRUE(weak);
  EXPECT_TRUE(weak->check(head_of(206, 600, {range}), 400).has_value());
  EXPECT_FALSE(weak->check(head_of(206, 600, {range, {"ETag", "W/\"2\""}}), 400));
  EXPECT_FALSE(weak->check(head_of(206, 600, {range, {"Last-Modified", "y"}}), 400));
  EXPECT_EQ(of(kTagged)->validator(), "\"v1\"");
}

}  // namespace
}  // namespace streamgate
