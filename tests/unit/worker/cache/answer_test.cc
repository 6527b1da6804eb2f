// The pure parts of the cache: freshness, keys, the stored head, the answer for one client.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "worker/cache/answer_for_client.h"
#include "worker/cache/freshness.h"
#include "worker/cache/key.h"
#include "worker/cache/stored_head.h"

namespace streamgate {
namespace {

constexpr int64_t kNow = 1'800'000'000;

Freshness freshness(const HeaderFields& fields) {
  return freshness_of(fields, NoStore::honoured, kNow);
}

TEST(Freshness, NothingSaidIsNoLifetime) {
  EXPECT_TRUE(freshness({}).may_share);
  EXPECT_EQ(std::nullopt, freshness({}).seconds);
  EXPECT_EQ(std::nullopt, freshness({{"Cache-Control", "public"}}).seconds);
}

TEST(Freshness, SharedAgeWinsOverAgeAndExpires) {
  EXPECT_EQ(5, freshness({{"Cache-Control", "max-age=9, s-maxage=5"}}).seconds);
  EXPECT_EQ(9, freshness({{"Expires", "0"}, {"Cache-Control", "max-age=9"}}).seconds);
  EXPECT_EQ(9, freshness({{"cache-control", "foo"}, {"Cache-Control", "Max-Age=\"9\""}}).seconds);
}

TEST(Freshness, WhatIsNotValidIsStale) {
  EXPECT_EQ(0, freshness({{"Cache-Control", "max-age"}}).seconds);
  EXPECT_EQ(0, freshness({{"Cache-Control", "max-age=-1"}}).seconds);
  EXPECT_EQ(0, freshness({{"Cache-Control", "max-age=1, max-age=0"}}).seconds);
  EXPECT_EQ(0, freshness({{"Expires", "tomorrow"}}).seconds);
  EXPECT_EQ(0, freshness({{"Cache-Control", "max-age=60"}, {"Age", "61"}}).seconds);
  EXPECT_EQ(int64_t{1} << 31,
            freshness({{"Cache-Control", "max-age=99999999999999999999"}}).seconds);
}

TEST(Freshness, OfSeveralAgesTheFirstOneCounts) {
  const HeaderField minute{"Cache-Control", "max-age=60"};
  EXPECT_EQ(0, freshness({minute, {"Age", "60, 0"}}).seconds);
  EXPECT_EQ(53, freshness({minute, {"Age", " 7 ,60"}}).seconds);
  EXPECT_EQ(60, freshness({minute, {"Age", "-1"}}).seconds);
  EXPECT_EQ(60, freshness({minute, {"Age", ","}}).seconds);
}

TEST(Freshness, ADirectiveInsideQuotesIsNone) {
  EXPECT_EQ(0, freshness({{"Cache-Control", "a=\"b, s-maxage=9, c\", max-age=0"}}).seconds);
  EXPECT_EQ(0, freshness({{"Cache-Control", R"(a="\", s-maxage=9, \\", max-age=0)"}}).seconds);
  EXPECT_EQ(9, freshness({{"Cache-Control", "a=\"\",max-age=9"}}).seconds);
  EXPECT_EQ(9, freshness({{"Cache-Control", ",, max-age=9,"}}).seconds);
  EXPECT_TRUE(freshness({{"Cache-Control", "a=\"private, no-store\", max-age=9"}}).may_share);
  EXPECT_FALSE(freshness({{"Cache-Control", "a=\"b, private"}}).may_share);
  EXPECT_FALSE(freshness({{"Cache-Control", "a=b\\\", private"}}).may_share);
}

TEST(Freshness, QuotesWithoutAnEndTakeLittleTime) {
  std::string value = "a=\"";
  while (value.size() < size_t{120} * 1024) value += R"(\")";
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_FALSE(freshness({{"Cache-Control", value + ", private"}}).may_share);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(1));
}

// An upstream whose clock is wrong: without this rule its live playlists would never be fresh.
TEST(Freshness, OurClockMinusTheDateIsNoAge) {
  for (const char* date : {"Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 2094 08:49:37 GMT", "x"}) {
    EXPECT_EQ(2, freshness({{"Date", date}, {"Cache-Control", "max-age=2"}}).seconds) << date;
  }
}

TEST(Freshness, AnExpiresCountsFromTheDateOfTheAnswer) {
  EXPECT_EQ(60, freshness({{"Date", "Sun, 06 Nov 1994 08:49:37 GMT"},
                           {"Expires", "Sun, 06 Nov 1994 08:50:37 GMT"}})
                    .seconds);
}

TEST(Freshness, PrivateAnswersAreNotShared) {
  EXPECT_FALSE(freshness({{"Cache-Control", "no-store"}}).may_share);
  EXPECT_FALSE(freshness({{"Cache-Control", "public"}, {"Cache-Control", "Private"}}).may_share);
  EXPECT_FALSE(freshness({{"Cache-Control", "private=\"a, b\", max-age=60"}}).may_share);
  EXPECT_FALSE(freshness({{"Vary", "Origin"}, {"Vary", "Cookie"}}).may_share);
  EXPECT_TRUE(freshness({{"Vary", "accept-encoding,origin"}}).may_share);
  const Freshness ignored =
      freshness_of({{"Cache-Control", "no-store, max-age=0"}}, NoStore::ignored, kNow);
  EXPECT_TRUE(ignored.may_share);
  EXPECT_EQ(std::nullopt, ignored.seconds);
  EXPECT_FALSE(freshness_of({{"Vary", "*"}}, NoStore::ignored, kNow).may_share);
}

FetchRequest request(const std::string& url = "http://a.example/x.ts") {
  FetchRequest out;
  out.url = *parse_http_url(url);
  return out;
}

TEST(CacheKey, RangesAndConditionsAreNotPartOfIt) {
  FetchRequest ranged = request();
  ranged.forwarded = {{"Range", "bytes=1-"}, {"If-None-Match", "\"a\""}};
  EXPECT_EQ(cache_key(request(), 1), cache_key(ranged, 1));
  EXPECT_TRUE(cache_key(request(), 1));
}

TEST(CacheKey, EveryPartThatGoesUpstreamChangesIt) {
  std::vector<FetchRequest> variants(11, request());
  variants[1] = request("http://a.example/y.ts");
  variants[2] = request("https://a.example/x.ts");
  variants[3].referer = "";
  variants[4].referer = "http://b.example/";
  variants[5].headers = {{"X", "1"}};
  variants[6].headers = {{"X1", ""}};
  variants[7].cookies = "abc";
  variants[8].forwarded = {{"Accept", "x"}};
  variants[9].alternatives = {{*parse_http_url("http://c.example/")}};
  const std::vector<TargetPattern> allow{*TargetPattern::parse("a.example")};
  variants[10].allow = &allow;
  for (size_t i = 0; i < variants.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      EXPECT_NE(cache_key(variants[i], 1), cache_key(variants[j], 1)) << i << " and " << j;
    }
  }
  EXPECT_NE(cache_key(request(), 1), cache_key(request(), 2));
}

TEST(CacheKey, TextsDoNotRunTogether) {
  FetchRequest one = request();
  one.headers = {{"A", "b"}, {"C", "d"}};
  FetchRequest other = request();
  other.headers = {{"A", "b1:C1:d"}};
  EXPECT_NE(cache_key(one, 1), cache_key(other, 1));
}

TEST(CacheKey, RequestsWithSecretsHaveNone) {
  FetchRequest secret = request();
  secret.headers = {{"authorization", "x"}};
  EXPECT_FALSE(cache_key(secret, 1));
  secret.headers = {{"Cookie", "x"}};
  EXPECT_FALSE(cache_key(secret, 1));
  secret.headers = {};
  secret.alternatives = {{*parse_http_url("http://c.example/"), "Basic x"}};
  EXPECT_FALSE(cache_key(secret, 1));
  FetchRequest head = request();
  head.method = Method::head;
  EXPECT_FALSE(cache_key(head, 1));
}

TEST(CacheKey, StreamsThatReconnectHaveOnesOfTheirOwn) {
  FetchRequest live = request();
  live.may_reconnect = true;
  EXPECT_TRUE(cache_key(live, 1));
  EXPECT_NE(cache_key(live, 1), cache_key(request(), 1));
}

ResponseHead head_of(uint64_t length) {
  ResponseHead head;
  head.status = 200;
  head.framing = Framing::length;
  head.content_length = length;
  head.declared_length = length;
  head.fields = {{"Content-Type", "video/mp2t"}, {"ETag", "\"v\""}, {"Age", "7"}};
  return head;
}

std::unique_ptr<StoredHead> stored(uint64_t length) {
  FetchFacts facts{
      *parse_http_url("https://b.example:81/x?y"), true, true, "Basic x", "Y29va2ll", 77};
  return parse_head(print_head(head_of(length), facts));
}

TEST(StoredHead, IsReadAsItWasWritten) {
  const auto head = stored(10);
  ASSERT_TRUE(head);
  EXPECT_EQ(200, head->head.status);
  EXPECT_EQ(10U, head->head.content_length);
  EXPECT_EQ("\"v\"", field_or_empty(head->head.fields, "etag"));
  EXPECT_EQ("https://b.example:81/x?y", head->facts.url.to_string());
  EXPECT_TRUE(head->facts.left_origin && head->facts.is_redirected);
  EXPECT_EQ("Basic x", head->facts.authorization);
  EXPECT_EQ("Y29va2ll", head->facts.cookies_for_children);
  EXPECT_EQ(77, head->facts.age_from_ms);
}

TEST(StoredHead, EveryCutTextIsRefusedOrShorter) {
  FetchFacts facts{*parse_http_url("http://b.example/"), false, false, "", ""};
  const std::string text = print_head(head_of(10), facts);
  for (size_t size = 0; size < text.size(); ++size) {
    const auto head = parse_head(std::string_view(text).substr(0, size));
    EXPECT_TRUE(head == nullptr || head->head.fields.size() < 3) << size;
  }
  std::string wrong = text;
  wrong[0] = '\x01';
  wrong[1] = '\x7f';
  EXPECT_FALSE(parse_head(wrong)) << "an impossible status";
  facts.age_from_ms = -1;
  EXPECT_FALSE(parse_head(print_head(head_of(10), facts))) << "an impossible time";
}

TEST(StoredHead, FailuresAreReadAsTheyWereWritten) {
  const Error error{Reason::tls_failed, "detail", "for the client", Cause::certificate_expired};
  const Error read = parse_failure(print_failure(error));
  EXPECT_EQ(Reason::tls_failed, read.reason);
  EXPECT_EQ("detail", read.detail);
  EXPECT_EQ("for the client", read.client_detail);
  EXPECT_EQ(Cause::certificate_expired, read.cause);
  EXPECT_EQ(Reason::internal, parse_failure("x").reason);
  EXPECT_EQ(Reason::internal, parse_failure(std::string(32, '\xff')).reason);
}

std::unique_ptr<AnswerForClient> answer(const StoredHead& head, const std::string& range,
                                        Ranges ranges = Ranges::with) {
  return answer_for_client(head, {{"Range", range}}, ranges, -1);
}

TEST(AnswerForClient, HasThePartThatWasAskedFor) {
  const auto head = stored(10);
  const auto part = answer(*head, "bytes=2-4");
  EXPECT_EQ(206, part->head.status);
  EXPECT_EQ(2U, part->first);
  EXPECT_EQ(5U, part->end);
  EXPECT_EQ(3U, part->head.content_length);
  EXPECT_EQ("bytes 2-4/10", field_or_empty(part->head.fields, "Content-Range"));
  EXPECT_EQ(200, answer(*head, "bytes=2-4", Ranges::without)->head.status);
  EXPECT_EQ(7U, answer(*head, "bytes=-3")->first);
  EXPECT_EQ(0U, answer(*head, "bytes=-18446744073709551615")->first);
  EXPECT_EQ(10U, answer(*head, "bytes=0-18446744073709551615")->end);
  EXPECT_EQ(416, answer(*head, "bytes=10-")->head.status);
  EXPECT_EQ(200, answer(*head, "bytes=4-2")->head.status);
  EXPECT_EQ(200, answer(*head, "bytes=0-1,3-4")->head.status);
  EXPECT_EQ(200, answer(*stored(0), "bytes=0-")->head.status);
}

TEST(AnswerForClient, ARangeThatTheUpstreamNamesInAWholeAnswerDoesNotCount) {
  ResponseHead whole = head_of(10);
  whole.fields.push_back({"content-range", "bytes 0-9/999"});
  const auto head = parse_head(print_head(whole, {*parse_http_url("http://b.example/")}));
  EXPECT_EQ("bytes 2-4/10",
            field_or_empty(answer(*head, "bytes=2-4")->head.fields, "Content-Range"));
  EXPECT_FALSE(find_field(answer(*head, "lines=1-2")->head.fields, "Content-Range"));
}

TEST(AnswerForClient, ADateContinuesABodyOnlyIfNoOtherBodyHasIt) {
  constexpr const char* kChange = "Sun, 06 Nov 1994 08:49:37 GMT";
  for (const auto& [sent, status] : {std::pair{"Sun, 06 Nov 1994 08:49:37 GMT", 200},
                                     {"Sun, 06 Nov 1994 08:49:38 GMT", 206},
                                     {"Sun, 06 Nov 1994 08:49:36 GMT", 200},
                                     {"", 206}}) {
    ResponseHead head = head_of(10);
    head.fields.push_back({"Last-Modified", kChange});
    head.fields.push_back({"Date", sent});
    const auto stored = parse_head(print_head(head, {*parse_http_url("http://b.example/")}));
    const auto part = answer_for_client(*stored, {{"Range", "bytes=0-1"}, {"If-Range", kChange}},
                                        Ranges::with, -1);
    EXPECT_EQ(status, part->head.status) << sent;
  }
}

TEST(AnswerForClient, AddsTheTimeInTheStoreToTheAge) {
  const auto head = stored(10);
  EXPECT_EQ("12",
            field_or_empty(answer_for_client(*head, {}, Ranges::with, 5)->head.fields, "Age"));
  EXPECT_EQ("7",
            field_or_empty(answer_for_client(*head, {}, Ranges::with, -1)->head.fields, "Age"));
}

TEST(AnswerForClient, OnlyAProbeForRangesAsksForTheWhole) {
  EXPECT_FALSE(may_ask_for_less({}));
  EXPECT_FALSE(may_ask_for_less({{"Range", "bytes=0-"}}));
  EXPECT_TRUE(may_ask_for_less({{"Range", "bytes=1-"}}));
  EXPECT_TRUE(may_ask_for_less({{"If-None-Match", "\"a\""}}));
}

}  // namespace
}  // namespace streamgate
