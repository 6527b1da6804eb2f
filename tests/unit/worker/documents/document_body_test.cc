#include "worker/documents/document_body.h"

#include <gtest/gtest.h>

#include "tests/unit/deflated.h"

namespace streamgate {
namespace {

PlaylistSetting setting() {
  PlaylistSetting out;
  out.base_url = "http://up.example/dir/list.m3u8";
  out.proxy_origin = "http://gate";
  out.route_path = "/stream";
  out.longest_line = 1024;
  return out;
}

void begin(PlaylistBody& body, ContentCoding coding) {
  body.setting() = setting();
  body.begin(coding);
}

constexpr std::string_view kPlain = "#EXTM3U\n#EXTINF:1,\na.ts\n";
constexpr std::string_view kRewritten =
    "#EXTM3U\n#EXTINF:1,\nhttp://gate/stream?url=http%3A%2F%2Fup.example%2Fdir%2Fa.ts\n";

TEST(PlaylistBody, RewritesPlainAndCodedBodiesAlike) {
  const std::pair<ContentCoding, std::string> bodies[] = {
      {ContentCoding::identity, std::string(kPlain)},
      {ContentCoding::gzip, deflated(kPlain, kGzipWrapped)},
      {ContentCoding::deflate, deflated(kPlain, kZlibWrapped)},
      {ContentCoding::deflate, deflated(kPlain, kRawDeflate)},
  };
  for (const auto& [coding, bytes] : bodies) {
    PlaylistBody body;
    begin(body, coding);
    for (const char byte : bytes) ASSERT_TRUE(body.write({&byte, 1}));
    ASSERT_TRUE(body.finish());
    EXPECT_EQ(body.output().text(), kRewritten);
  }
}

TEST(PlaylistBody, ATruncatedCodedBodyIsAFailure) {
  const std::string bytes = deflated(kPlain, kGzipWrapped);
  PlaylistBody body;
  begin(body, ContentCoding::gzip);
  ASSERT_TRUE(body.write(std::string_view(bytes).substr(0, bytes.size() - 4)));
  const auto ended = body.finish();
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().reason, Reason::truncated_body);
}

TEST(PlaylistBody, ABodyThatInflatesWithoutBoundIsRefused) {
  const std::string bomb =
      deflated("#EXTM3U\n" + std::string(size_t{64} << 20U, 'a'), kGzipWrapped);
  PlaylistBody body;
  begin(body, ContentCoding::gzip);
  const auto written = body.write(bomb);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().reason, Reason::bad_response);
}

TEST(PlaylistBody, ReferencesThatGrowWithoutBoundAreRefused) {
  std::string lines = "#EXTM3U\n";
  for (int i = 0; i < 64 * 1024; ++i) lines += "a\n";
  std::string one_line = "#EXT-X-OTHER:X=1";
  for (int i = 0; i < 64 * 1024; ++i) one_line += ",URI=\"a\"";
  for (const std::string& text : {lines, one_line + "\n"}) {
    PlaylistSetting long_children = setting();
    long_children.longest_line = size_t{1} << 20U;
    long_children.child_parameters = "&referer=" + std::string(size_t{15} << 10U, 'r');
    PlaylistBody body;
    body.setting() = std::move(long_children);
    body.begin(ContentCoding::identity);
    const auto written = body.write(text);
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().reason, Reason::bad_response);
    EXPECT_LT(body.output().size(), size_t{80} << 20U);
  }
}

// A body that is lent again must show nothing of the playlist before, however that one ended.
TEST(PlaylistBodies, LendTheSameMemoryToOnePlaylistAfterTheOther) {
  PlaylistBodies bodies;
  const std::string gzipped = deflated(kPlain, kGzipWrapped);
  const std::pair<ContentCoding, std::string> halves[] = {
      {ContentCoding::identity, "\xEF\xBB"},
      {ContentCoding::identity, "#EXTM3U\n#EXT-X-CONTENT-STEERING:SERVER-URI=\"x\"\r"},
      {ContentCoding::identity, "other/a.ts\nother/b.ts\nother/unfinished"},
      {ContentCoding::identity, "#EXTM3U\n" + std::string(3000, 'x')},
      {ContentCoding::gzip, gzipped.substr(0, gzipped.size() / 2)}};
  const PlaylistBody* first = nullptr;
  for (const auto& [coding, half] : halves) {
    auto body = bodies.lend();
    if (first == nullptr) first = body.get();
    EXPECT_EQ(body.get(), first);
    body->setting() = setting();
    body->setting().base_url = "https://elsewhere.example/";
    body->begin(coding);
    ASSERT_TRUE(body->write(half));
    bodies.give_back(std::move(body));

    body = bodies.lend();
    begin(*body, ContentCoding::identity);
    ASSERT_TRUE(body->write("\n" + std::string(kPlain)));
    ASSERT_TRUE(body->finish());
    EXPECT_EQ(body->output().text(), "\n" + std::string(kRewritten));
    EXPECT_EQ(body->lines_too_long(), 0u);
    bodies.give_back(std::move(body));
  }
}

TEST(PlaylistBodies, KeepNoLargeMemory) {
  PlaylistBodies bodies;
  auto body = bodies.lend();
  const PlaylistBody* const large = body.get();
  auto second = bodies.lend();
  const PlaylistBody* const small = second.get();
  body->setting() = setting();
  body->setting().longest_line = size_t{1024} * 1024;
  body->begin(ContentCoding::identity);
  // Half a line is kept until the other half comes.
  ASSERT_TRUE(body->write("#EXTM3U\n" + std::string(size_t{512} * 1024, 'x')));
  bodies.give_back(std::move(second));
  bodies.give_back(std::move(body));
  EXPECT_EQ(bodies.lend().get(), small);
  EXPECT_NE(large, small);
}

}  // namespace
}  // namespace streamgate
