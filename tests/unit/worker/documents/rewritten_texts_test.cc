#include "worker/documents/rewritten_texts.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "tests/unit/deflated.h"
#include "worker/documents/document_body.h"
#include "worker/links/grant.h"

namespace streamgate {
namespace {

DocumentSetting setting_of(std::string_view base_url) {
  DocumentSetting out;
  out.base_url = base_url;
  out.proxy_origin = "http://gate";
  out.route_path = "/stream";
  return out;
}

const DocumentSetting kSetting = setting_of("http://up.example/dir/list.m3u8");
constexpr std::string_view kPlain = "#EXTM3U\n#EXTINF:1,\na.ts\n#EXTINF:1,\nb.ts\n";

// The text of a document whose bytes come in pieces of this size.
std::string rewrite(std::string_view bytes, const DocumentSetting& setting, RewrittenTexts* texts,
                    size_t piece = SIZE_MAX) {
  DocumentBody body;
  body.setting() = setting;
  const bool is_mpd = bytes.starts_with("<MPD");
  body.begin(is_mpd ? DocumentKind::mpd : DocumentKind::hls, {}, texts);
  while (!bytes.empty()) {
    const auto written = body.write(bytes.substr(0, piece), SIZE_MAX);
    EXPECT_TRUE(written);
    bytes.remove_prefix(written->taken);
  }
  EXPECT_TRUE(body.finish());
  return std::string(body.output().text());
}

// Whether the document is found again, so that no byte of it is rewritten before its end.
bool is_known(std::string_view bytes, const DocumentSetting& setting, RewrittenTexts& texts) {
  DocumentBody body;
  body.setting() = setting;
  body.begin(DocumentKind::hls, {}, &texts);
  EXPECT_TRUE(body.write(bytes, SIZE_MAX));
  return body.output().size() == 0;
}

TEST(RewrittenTexts, TheSameDocumentIsRewrittenOnce) {
  RewrittenTexts texts;
  const std::string plain = rewrite(kPlain, kSetting, nullptr);
  EXPECT_FALSE(is_known(kPlain, kSetting, texts));
  EXPECT_EQ(rewrite(kPlain, kSetting, &texts), plain);
  EXPECT_TRUE(is_known(kPlain, kSetting, texts));
  for (const size_t piece : {size_t{1}, size_t{7}, kPlain.size()}) {
    EXPECT_EQ(rewrite(kPlain, kSetting, &texts, piece), plain) << piece;
  }
}

TEST(RewrittenTexts, AnotherDocumentOfTheSameUrlIsRewritten) {
  RewrittenTexts texts;
  rewrite(kPlain, kSetting, &texts);
  std::string changed(kPlain);
  changed[changed.size() - 5] = 'c';
  const std::string longer = std::string(kPlain) + "#EXTINF:1,\nc.ts\n";
  const std::string shorter(kPlain.substr(0, kPlain.size() - 16));
  for (const std::string& other :
       {changed, longer, shorter, std::string("#EXTM3U"), std::string()}) {
    const std::string expected = rewrite(other, kSetting, nullptr);
    for (const size_t piece : {size_t{1}, size_t{8}, size_t{4096}}) {
      RewrittenTexts fresh;
      rewrite(kPlain, kSetting, &fresh);
      EXPECT_EQ(rewrite(other, kSetting, &fresh, piece), expected) << other << " by " << piece;
      EXPECT_EQ(rewrite(other, kSetting, &fresh, piece), expected) << other << ", stored";
    }
  }
}

TEST(RewrittenTexts, OtherSettingsHaveTheirOwnText) {
  RewrittenTexts texts;
  rewrite(kPlain, kSetting, &texts);
  DocumentSetting origin = kSetting;
  origin.proxy_origin = "https://other.gate";
  DocumentSetting parameters = kSetting;
  parameters.same_origin_parameters = "&referer=x";
  DocumentSetting path = kSetting;
  path.child_urls = HlsConfig::ChildUrls::path;
  DocumentSetting direct = kSetting;
  direct.segments_are_direct = true;
  const DocumentSetting other = setting_of("http://up.example/dir/other.m3u8");
  for (const DocumentSetting& setting : {origin, parameters, path, direct, other}) {
    EXPECT_FALSE(is_known(kPlain, setting, texts));
    EXPECT_EQ(rewrite(kPlain, setting, &texts), rewrite(kPlain, setting, nullptr));
  }
}

TEST(RewrittenTexts, TheKindIsPartOfTheKey) {
  RewrittenTexts texts;
  rewrite(kPlain, kSetting, &texts);
  EXPECT_NE(texts.find(DocumentKind::hls, kSetting), nullptr);
  EXPECT_EQ(texts.find(DocumentKind::asset_list, kSetting), nullptr);
}

TEST(RewrittenTexts, LinksWithGrantsAreNotStored) {
  const Access access{};
  DocumentSetting setting = kSetting;
  setting.access = &access;
  EXPECT_FALSE(RewrittenTexts::may_store(setting));
  EXPECT_TRUE(RewrittenTexts::may_store(kSetting));
}

TEST(RewrittenTexts, AKnownBeginningIsRewrittenWhenTheUpstreamPauses) {
  RewrittenTexts texts;
  const std::string plain = rewrite(kPlain, kSetting, &texts);
  DocumentBody body;
  body.setting() = kSetting;
  body.begin(DocumentKind::hls, {}, &texts);
  ASSERT_TRUE(body.write(kPlain.substr(0, 24), SIZE_MAX));
  ASSERT_EQ(body.output().size(), 0u);
  ASSERT_TRUE(body.settle());
  EXPECT_GT(body.output().size(), 0u);
  ASSERT_TRUE(body.write(kPlain.substr(24), SIZE_MAX));
  ASSERT_TRUE(body.finish());
  EXPECT_EQ(body.output().text(), plain);
}

TEST(RewrittenTexts, ADocumentWhoseTextWasSentInPiecesIsNotStored) {
  RewrittenTexts texts;
  DocumentBody body;
  body.setting() = kSetting;
  body.begin(DocumentKind::hls, {}, &texts);
  ASSERT_TRUE(body.write(kPlain.substr(0, 24), SIZE_MAX));
  body.output().clear();
  ASSERT_TRUE(body.write(kPlain.substr(24), SIZE_MAX));
  ASSERT_TRUE(body.finish());
  EXPECT_EQ(texts.find(DocumentKind::hls, kSetting), nullptr);
}

// A long live MPD: an MPD is taken in calls of 8 KiB of links.
std::string mpd_with_links(size_t links, std::string_view end) {
  std::string out = "<MPD><Period>";
  for (size_t i = 0; i < links; ++i) {
    out += "<SegmentURL media=\"http://cdn.example/a/directory/" + std::to_string(i) + ".m4s\"/>";
  }
  return out.append(end).append("</Period></MPD>");
}

TEST(RewrittenTexts, AnMpdWithManyLinksMayChangeAtItsEnd) {
  DocumentSetting setting = setting_of("http://up.example/dir/live.mpd");
  const std::string first = mpd_with_links(250, "<!-- 1 -->");
  const std::string next = mpd_with_links(250, "<!-- 2 -->");
  const std::string expected = rewrite(next, setting, nullptr);
  for (const size_t piece : {size_t{4096}, SIZE_MAX}) {
    RewrittenTexts texts;
    rewrite(first, setting, &texts);
    ASSERT_NE(texts.find(DocumentKind::mpd, setting), nullptr);
    EXPECT_EQ(rewrite(next, setting, &texts, piece), expected) << piece;
  }
}

// Its beginning may have to be rewritten again in one call.
TEST(RewrittenTexts, ADocumentThatTakesLongIsNotStored) {
  RewrittenTexts texts;
  const DocumentSetting setting =
      setting_of("http://up.example/" + std::string(8000, 'd') + "/live.mpd");
  std::string slow = "<MPD><Period>";
  for (int i = 0; i < 50; ++i) slow += "<AdaptationSet><BaseURL>a/</BaseURL></AdaptationSet>";
  slow += "</Period></MPD>";
  EXPECT_LT(rewrite(slow, setting, &texts).size() + slow.size(), RewrittenText::kMaxBytes);
  EXPECT_EQ(texts.find(DocumentKind::mpd, setting), nullptr);
}

TEST(RewrittenTexts, LargeCodedAndIncompleteDocumentsAreNotStored) {
  RewrittenTexts texts;
  std::string large = "#EXTM3U\n";
  while (large.size() < RewrittenText::kMaxBytes / 2) large += "segment.ts\n";
  rewrite(large, kSetting, &texts);
  EXPECT_EQ(texts.find(DocumentKind::hls, kSetting), nullptr);

  DocumentBody body;
  body.setting() = kSetting;
  body.begin(DocumentKind::hls, ContentCoding::gzip, &texts);
  ASSERT_TRUE(body.write(deflated(kPlain, kGzipWrapped), SIZE_MAX));
  ASSERT_TRUE(body.finish());
  EXPECT_EQ(texts.find(DocumentKind::hls, kSetting), nullptr);

  body.setting() = kSetting;
  body.begin(DocumentKind::hls, {}, &texts);
  ASSERT_TRUE(body.write(kPlain, SIZE_MAX));  // and no finish()
  EXPECT_EQ(texts.find(DocumentKind::hls, kSetting), nullptr);
}

}  // namespace
}  // namespace streamgate
