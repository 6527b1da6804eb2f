#include "worker/documents/hls/line_scan.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/playlist_rewriting.h"
#include "worker/documents/hls/playlist_rewriter.h"
#include "worker/links/path_link.h"

namespace streamgate {
namespace {

constexpr std::string_view kNext = "#EXTINF:6,\nan/other/segment.ts\n";

// The size of the plain URI with its line end at the beginning of `text`; 0: it begins otherwise.
size_t skipped(std::string_view text) {
  const char* const next = skip_plain_uri(text.data(), text.data() + text.size());
  return next == nullptr ? 0 : static_cast<size_t>(next - text.data());
}

// Each byte at each place of a block of 16 and of the next one, and behind a slash or in a query.
template <class Visit>
void for_each_uri(Visit visit) {
  for (const size_t size : {1, 7, 14, 15, 16, 17, 31, 40}) {
    for (size_t at = 0; at < size; ++at) {
      for (int byte = 1; byte < 256; ++byte) {
        if (byte == '\n') continue;
        std::string uri(size, 'a');
        uri[at] = static_cast<char>(byte);
        visit(uri);
        if (at == 0) continue;
        for (const char before : {'/', '?', '.'}) {
          uri[at - 1] = before;
          visit(uri);
        }
      }
    }
  }
}

// Without SSE2 the rewriter looks at each line itself.
class SkipPlainUri : public testing::Test {
  void SetUp() override {
#ifndef __SSE2__
    GTEST_SKIP() << "needs SSE2";
#endif
  }
};

TEST_F(SkipPlainUri, TakesOnlyUrisThatStay) {
  size_t taken = 0;
  for_each_uri([&](const std::string& uri) {
    const size_t size = skipped(uri + "\n" + std::string(kNext));
    if (size == 0) return;
    ++taken;
    EXPECT_EQ(size, uri.size() + 1) << uri;
    EXPECT_TRUE(is_plain_relative(uri)) << uri;
    EXPECT_EQ(uri.find('\r'), uri.npos);
  });
  EXPECT_GT(taken, 50'000U);
}

TEST_F(SkipPlainUri, TakesMostUris) {
  const std::string next(kNext);
  EXPECT_EQ(skipped("vod/1080p/title-0042/segment_00001.ts?part=v00001\n" + next), 50U);
  EXPECT_EQ(skipped("a\n" + next), 2U);
  for (const std::string other :
       {"", "/a", ".a", "#a", " a", "a?b_c", "a/.b", "a|b", "a\\b", "a\tb"}) {
    EXPECT_EQ(skipped(other + "\n" + next), 0U) << other;
  }
  EXPECT_EQ(skipped("a\n"), 0U) << "nothing is read behind the end";
}

// The scan needs 16 bytes. Without them the rewriter looks at the line itself.
TEST_F(SkipPlainUri, ChangesNoResult) {
  DocumentSetting setting = setting_for("https://up.example/live/i.m3u8");
  setting.child_urls = HlsConfig::ChildUrls::path;
  setting.own_carry = carry_of({}, {});
  const std::string head = "#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:6,\n";
  PlaylistRewriter rewriter;
  const auto rewritten_once = [&](const std::string& uri, std::string_view more) {
    const std::string text = head + uri + "\n" + std::string(more);
    return rewritten_in_two(rewriter, setting, text, text.size());
  };
  for_each_uri([&](const std::string& uri) {
    if (uri.size() > 14) return;
    ASSERT_EQ(rewritten_once(uri, kNext), rewritten_once(uri, "") + std::string(kNext)) << uri;
  });
}

// Browsers leave it out. The line must be longer than a block of the scan.
TEST(PlaylistRewriter, ATabHidesNoDotSegment) {
  DocumentSetting setting = setting_for("https://up.example/live/i.m3u8");
  const std::string head = "#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:6,\n";
  const std::string tail = "\n#EXTINF:6,\nanother/segment.ts\n";
  PlaylistRewriter rewriter;
  const std::string climbing = "dir/\t../../../segment-00001.ts";
  EXPECT_TRUE(rewritten(rewriter, setting, head + climbing + "\n")
                  .ends_with(link_to("https://up.example/segment-00001.ts") + "\n"));
  setting.child_urls = HlsConfig::ChildUrls::path;
  setting.own_carry = carry_of({}, {});
  EXPECT_EQ(rewritten(rewriter, setting, head + climbing + tail),
            head + "https://proxy.example/at/-/https/up.example/segment-00001.ts" + tail);
  const std::string staying = head + "dir/\t../../segment-00001.ts" + tail;
  EXPECT_EQ(rewritten(rewriter, setting, staying), staying);
}

}  // namespace
}  // namespace streamgate
