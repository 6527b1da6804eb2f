#include "worker/playlist_body.h"

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

std::string text_of(evbuffer* buffer) {
  std::string out(evbuffer_get_length(buffer), '\0');
  evbuffer_copyout(buffer, out.data(), out.size());
  return out;
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
    PlaylistBody body(setting(), coding);
    for (const char byte : bytes) ASSERT_TRUE(body.write({&byte, 1}));
    ASSERT_TRUE(body.finish());
    EXPECT_EQ(text_of(body.output()), kRewritten);
  }
}

TEST(PlaylistBody, ATruncatedCodedBodyIsAFailure) {
  const std::string bytes = deflated(kPlain, kGzipWrapped);
  PlaylistBody body(setting(), ContentCoding::gzip);
  ASSERT_TRUE(body.write(std::string_view(bytes).substr(0, bytes.size() - 4)));
  const auto ended = body.finish();
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().reason, Reason::truncated_body);
}

TEST(PlaylistBody, ABodyThatInflatesWithoutBoundIsRefused) {
  const std::string bomb =
      deflated("#EXTM3U\n" + std::string(size_t{64} << 20U, 'a'), kGzipWrapped);
  PlaylistBody body(setting(), ContentCoding::gzip);
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
    PlaylistBody body(std::move(long_children), ContentCoding::identity);
    const auto written = body.write(text);
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().reason, Reason::bad_response);
    EXPECT_LT(evbuffer_get_length(body.output()), size_t{80} << 20U);
  }
}

}  // namespace
}  // namespace streamgate
