#include "worker/documents/document_body.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "tests/unit/deflated.h"

namespace streamgate {
namespace {

DocumentSetting setting() {
  DocumentSetting out;
  out.base_url = "http://up.example/dir/list.m3u8";
  out.proxy_origin = "http://gate";
  out.route_path = "/stream";
  out.longest_line = 1024;
  return out;
}

void begin(DocumentBody& body, const ContentCodings& codings) {
  body.setting() = setting();
  body.begin(DocumentKind::hls, codings);
}

// Offers the bytes until all of them are taken and nothing is pending.
Result<void> write_all(DocumentBody& body, std::string_view bytes) {
  while (!bytes.empty() || body.has_pending()) {
    const auto written = body.write(bytes, SIZE_MAX);
    if (!written) return written.error();
    bytes.remove_prefix(written->taken);
  }
  return {};
}

constexpr std::string_view kPlain = "#EXTM3U\n#EXTINF:1,\na.ts\n";
constexpr std::string_view kRewritten =
    "#EXTM3U\n#EXTINF:1,\nhttp://gate/stream?url=http%3A%2F%2Fup.example%2Fdir%2Fa.ts\n";

TEST(DocumentBody, PlainAndCodedBodiesHaveTheSameOutput) {
  const std::pair<ContentCoding, std::string> bodies[] = {
      {ContentCoding::identity, std::string(kPlain)},
      {ContentCoding::gzip, deflated(kPlain, kGzipWrapped)},
      {ContentCoding::deflate, deflated(kPlain, kZlibWrapped)},
      {ContentCoding::deflate, deflated(kPlain, kRawDeflate)},
  };
  for (const auto& [coding, bytes] : bodies) {
    DocumentBody body;
    begin(body, coding);
    for (const char byte : bytes) ASSERT_TRUE(write_all(body, {&byte, 1}));
    ASSERT_TRUE(body.finish());
    EXPECT_EQ(body.output().text(), kRewritten);
  }
}

std::string utf16(std::string_view ascii, bool big_endian) {
  std::string out = big_endian ? "\xFE\xFF" : "\xFF\xFE";
  for (const char c : ascii) {
    if (big_endian) out += '\0';
    out += c;
    if (!big_endian) out += '\0';
  }
  return out;
}

TEST(DocumentBody, Utf16BodiesHaveTheSameOutput) {
  for (const bool big_endian : {false, true}) {
    const std::string text = utf16(kPlain, big_endian);
    const std::pair<ContentCoding, std::string> bodies[] = {
        {ContentCoding::identity, text}, {ContentCoding::gzip, deflated(text, kGzipWrapped)}};
    for (const auto& [coding, bytes] : bodies) {
      for (const size_t size : {size_t{1}, size_t{3}, bytes.size()}) {
        DocumentBody body;
        begin(body, coding);
        for (size_t at = 0; at < bytes.size(); at += size) {
          ASSERT_TRUE(write_all(body, std::string_view(bytes).substr(at, size)));
        }
        ASSERT_TRUE(body.finish());
        EXPECT_EQ(body.output().text(), kRewritten);
        begin(body, ContentCoding::identity);
        ASSERT_TRUE(write_all(body, kPlain));
        EXPECT_EQ(body.output().text(), kRewritten) << "after a document in UTF-16";
      }
    }
  }
}

TEST(DocumentBody, TruncatedCodedBodyFails) {
  const std::string bytes = deflated(kPlain, kGzipWrapped);
  DocumentBody body;
  begin(body, ContentCoding::gzip);
  ASSERT_TRUE(write_all(body, std::string_view(bytes).substr(0, bytes.size() - 4)));
  const auto ended = body.finish();
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().reason, Reason::truncated_body);
}

TEST(DocumentBody, ABombIsInflatedInBoundedSteps) {
  std::string lines = "#EXTM3U\n";
  for (int i = 0; i < 1'000'000; ++i) lines += "a\n";
  const std::string bomb = deflated(lines, kGzipWrapped);
  DocumentBody body;
  begin(body, ContentCoding::gzip);
  std::string_view left = bomb;
  size_t plain = 0;
  for (size_t steps = 0; !left.empty() || body.has_pending(); ++steps) {
    ASSERT_LT(steps, size_t{10'000});
    const auto written = body.write(left, size_t{64} * 1024);
    ASSERT_TRUE(written);
    left.remove_prefix(written->taken);
    plain += written->plain;
    EXPECT_LE(written->plain, size_t{96} * 1024);
    EXPECT_LE(body.output().size(), size_t{65} * 1024);
    body.output().clear();
  }
  EXPECT_EQ(plain, lines.size());
  EXPECT_TRUE(body.finish());
}

TEST(DocumentBody, LinesThatTakeLongCountAsMoreWork) {
  DocumentBody body;
  begin(body, ContentCoding::identity);
  const auto usual = body.write("#EXTM3U\na.ts\n", size_t{64} * 1024);
  ASSERT_TRUE(usual);
  EXPECT_EQ(usual->work, usual->plain);
  const auto costly = body.write("http://u:p@b.example/\n", size_t{64} * 1024);
  ASSERT_TRUE(costly);
  EXPECT_GE(costly->work, 20 * costly->plain);
}

TEST(DocumentBody, CodedLinesThatTakeLongAreRewrittenInSmallSteps) {
  std::string lines = "#EXTM3U\n";
  for (int i = 0; i < 10'000; ++i) lines += "http://u:p@b.example/\n";
  const std::string coded = deflated(lines, kGzipWrapped);
  DocumentBody body;
  begin(body, ContentCoding::gzip);
  const auto written = body.write(coded, size_t{1024} * 1024);
  ASSERT_TRUE(written);
  EXPECT_LE(written->plain, size_t{32} * 1024);
  EXPECT_TRUE(body.has_pending() || written->taken < coded.size());
}

TEST(DocumentBody, ALineWhoseLinksGrowBeyondTheLimitFails) {
  std::string line = "#EXT-X-OTHER:X=1";
  for (int i = 0; i < 64 * 1024; ++i) line += ",URI=\"a\"";
  DocumentBody body;
  body.setting() = setting();
  body.setting().longest_line = size_t{1} << 20U;
  body.setting().same_origin_parameters = "&referer=" + std::string(size_t{15} << 10U, 'r');
  body.begin(DocumentKind::hls, ContentCoding::identity);
  const auto written = body.write("#EXTM3U\n" + line + "\n", size_t{64} * 1024);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().reason, Reason::bad_response);
  EXPECT_LT(body.output().size(), size_t{1} << 20U);
}

// Each element is a document that stays unfinished at a different place.
TEST(DocumentBodies, ReusedBodyShowsNothingOfThePreviousDocument) {
  DocumentBodies bodies;
  const std::string gzipped = deflated(kPlain, kGzipWrapped);
  const std::pair<ContentCoding, std::string> halves[] = {
      {ContentCoding::identity, "\xEF\xBB"},
      {ContentCoding::identity, "<br />\r"},
      {ContentCoding::identity, "other/a.ts\nother/b.ts\nother/unfinished"},
      {ContentCoding::identity, "#EXTM3U\n" + std::string(3000, 'x')},
      {ContentCoding::gzip, gzipped.substr(0, gzipped.size() / 2)}};
  const DocumentBody* first = nullptr;
  for (const auto& [coding, half] : halves) {
    auto body = bodies.borrow();
    if (first == nullptr) first = body.get();
    EXPECT_EQ(body.get(), first);
    body->setting() = setting();
    body->setting().base_url = "https://elsewhere.example/";
    body->begin(DocumentKind::hls, coding);
    ASSERT_TRUE(write_all(*body, half));
    bodies.give_back(std::move(body));

    body = bodies.borrow();
    begin(*body, ContentCoding::identity);
    ASSERT_TRUE(write_all(*body, "\n" + std::string(kPlain)));
    ASSERT_TRUE(body->finish());
    EXPECT_EQ(body->output().text(), "\n" + std::string(kRewritten));
    EXPECT_EQ(body->lines_too_long(), 0u);
    bodies.give_back(std::move(body));
  }
}

TEST(DocumentBodies, LargeBodyIsNotKept) {
  DocumentBodies bodies;
  auto body = bodies.borrow();
  const DocumentBody* const large = body.get();
  auto second = bodies.borrow();
  const DocumentBody* const small = second.get();
  body->setting() = setting();
  body->setting().longest_line = size_t{1024} * 1024;
  body->begin(DocumentKind::hls, ContentCoding::identity);
  // An unfinished line is kept until its end arrives.
  ASSERT_TRUE(write_all(*body, "#EXTM3U\n" + std::string(size_t{512} * 1024, 'x')));
  bodies.give_back(std::move(second));
  bodies.give_back(std::move(body));
  EXPECT_EQ(bodies.borrow().get(), small);
  EXPECT_NE(large, small);
}

}  // namespace
}  // namespace streamgate
