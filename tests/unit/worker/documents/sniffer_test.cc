#include "worker/documents/sniffer.h"

#include <gtest/gtest.h>

#include <ctime>
#include <optional>
#include <string>

#include "tests/unit/coded.h"
#include "tests/unit/deflated.h"

namespace streamgate {
namespace {

constexpr std::string_view kPlaylist = "#EXTM3U\n#EXTINF:1,\na.ts\n";

// The kind of a body that arrives in pieces of `step` bytes. Checks the bytes that were held until
// then.
DocumentKind kind_of(BodySniffer& sniffer, std::string_view body, size_t step) {
  for (size_t at = 0; at < body.size(); at += step) {
    const auto kind = sniffer.add(body.substr(at, step));
    if (!kind) continue;
    EXPECT_EQ(sniffer.held(), body.substr(0, at));
    return *kind;
  }
  return sniffer.end();
}

TEST(BodySniffer, FirstByteOfMediaDecidesAndNothingIsHeld) {
  BodySniffer sniffer("video/mp2t", "/seg.ts", ContentCoding::identity,
                      BodySniffer::Media::ignored);
  EXPECT_EQ(sniffer.add("\x47"), DocumentKind::none);
  EXPECT_TRUE(sniffer.held().empty());
}

TEST(BodySniffer, ARightTypeDecidesAtTheFirstByteAndAWrongOneWaits) {
  using Media = BodySniffer::Media;
  BodySniffer right("video/mp2t", "/a", ContentCoding::identity, Media::checked);
  EXPECT_EQ(right.add("G"), DocumentKind::none);
  EXPECT_EQ(right.media_type(), "");
  BodySniffer wrong("video/mp2t", "/a", ContentCoding::identity, Media::checked);
  EXPECT_EQ(wrong.add({"\0\0\0\x18mo", 6}), std::nullopt);
  EXPECT_EQ(wrong.add("of"), DocumentKind::none);
  EXPECT_EQ(wrong.media_type(), "video/mp4");
}

TEST(BodySniffer, DataWithoutASignatureDiffersFromText) {
  using Media = BodySniffer::Media;
  const auto is_data = [](std::string_view body, Media media) {
    BodySniffer sniffer("text/plain", "/a", ContentCoding::identity, media);
    EXPECT_EQ(sniffer.add(body), DocumentKind::none);
    return sniffer.is_unnamed_data();
  };
  EXPECT_TRUE(is_data("\x02\x03", Media::wanted));
  EXPECT_FALSE(is_data("text\n", Media::wanted));
  EXPECT_FALSE(is_data("fLaC\x01", Media::wanted));
  EXPECT_FALSE(is_data("\x02\x03", Media::ignored));
}

TEST(BodySniffer, FindsAPlaylistOfAnyTypeAtEverySplit) {
  for (size_t step = 1; step <= kPlaylist.size(); ++step) {
    BodySniffer sniffer("video/mp2t", "/x", ContentCoding::identity, BodySniffer::Media::ignored);
    EXPECT_EQ(kind_of(sniffer, kPlaylist, step), DocumentKind::hls) << step;
    EXPECT_EQ(sniffer.codings(), ContentCoding::identity);
  }
}

TEST(BodySniffer, FindsACompressedPlaylistAtEverySplit) {
  const std::string body = deflated(kPlaylist, kGzipWrapped);
  for (size_t step = 1; step <= body.size(); ++step) {
    BodySniffer sniffer("text/plain", "/x", ContentCoding::gzip, BodySniffer::Media::ignored);
    EXPECT_EQ(kind_of(sniffer, body, step), DocumentKind::hls) << step;
    EXPECT_EQ(sniffer.codings(), ContentCoding::gzip);
  }
}

TEST(BodySniffer, FindsUndeclaredGzipOnlyIfAPlaylistIsClaimed) {
  const std::string body = deflated(kPlaylist, kGzipWrapped);
  for (const size_t step : {size_t{1}, size_t{2}, body.size()}) {
    BodySniffer sniffer("application/x-mpegurl", "/x", ContentCoding::identity,
                        BodySniffer::Media::ignored);
    EXPECT_EQ(kind_of(sniffer, body, step), DocumentKind::hls) << step;
    EXPECT_EQ(sniffer.codings(), ContentCoding::gzip);
  }
  BodySniffer elsewhere("application/octet-stream", "/x.gz", ContentCoding::identity,
                        BodySniffer::Media::ignored);
  EXPECT_EQ(kind_of(elsewhere, body, body.size()), DocumentKind::none);
}

TEST(BodySniffer, CompressedMediaAndBrokenCodingsAreNoDocument) {
  BodySniffer media("application/octet-stream", "/x.bin", ContentCoding::gzip,
                    BodySniffer::Media::ignored);
  EXPECT_EQ(kind_of(media, deflated("plain bytes of no playlist", kGzipWrapped), 7),
            DocumentKind::none);
  BodySniffer broken("application/octet-stream", "/x.bin", ContentCoding::gzip,
                     BodySniffer::Media::ignored);
  EXPECT_EQ(kind_of(broken, "this is not gzip at all", 100), DocumentKind::none);
}

ContentCodings unknown() { return parse_content_codings({{"Content-Encoding", "utf-8"}}); }

TEST(BodySniffer, AnUnknownCodingOfTextIsIgnored) {
  for (size_t step = 1; step <= kPlaylist.size(); ++step) {
    BodySniffer sniffer("text/plain", "/x", unknown(), BodySniffer::Media::ignored);
    EXPECT_EQ(kind_of(sniffer, kPlaylist, step), DocumentKind::hls) << step;
    EXPECT_TRUE(sniffer.is_readable() && sniffer.codings().empty());
  }
  BodySniffer html("application/x-mpegurl", "/x", unknown(), BodySniffer::Media::ignored);
  EXPECT_EQ(kind_of(html, "<html>", 6), DocumentKind::none);
}

TEST(BodySniffer, UnknownCodingOfABinaryBodyIsUnreadableOnlyIfADocumentIsClaimed) {
  BodySniffer claimed("application/vnd.apple.mpegurl", "/x", unknown(),
                      BodySniffer::Media::ignored);
  EXPECT_EQ(claimed.add("\x1b\n\x01"), DocumentKind::hls);
  EXPECT_FALSE(claimed.is_readable());
  BodySniffer other("video/mp4", "/x.mp4", unknown(), BodySniffer::Media::ignored);
  EXPECT_EQ(other.add("\x1b"), DocumentKind::none);
  EXPECT_TRUE(other.is_readable());
}

TEST(BodySniffer, APlainPlaylistInADeclaredCodingIsPlain) {
  for (const ContentCoding coding : {ContentCoding::gzip, ContentCoding::brotli}) {
    for (size_t step = 1; step <= kPlaylist.size(); ++step) {
      BodySniffer sniffer("text/plain", "/x", coding, BodySniffer::Media::ignored);
      EXPECT_EQ(kind_of(sniffer, kPlaylist, step), DocumentKind::hls) << step;
      EXPECT_TRUE(sniffer.codings().empty());
    }
  }
}

TEST(BodySniffer, FindsUndeclaredZstdIfAPlaylistIsClaimed) {
  const std::string body = zstd_coded(kPlaylist);
  for (size_t step = 1; step <= body.size(); ++step) {
    BodySniffer sniffer("application/x-mpegurl", "/x", {}, BodySniffer::Media::ignored);
    EXPECT_EQ(kind_of(sniffer, body, step), DocumentKind::hls) << step;
    EXPECT_EQ(sniffer.codings(), ContentCoding::zstd);
  }
}

TEST(BodySniffer, GivesUpCodingsThatDecodeToNothing) {
  const std::string member = deflated("", kGzipWrapped);
  std::string members;
  while (members.size() < (4U << 20)) members += member;
  BodySniffer sniffer("application/x-mpegurl", "/x",
                      parse_content_codings({{"Content-Encoding", "gzip, gzip"}}),
                      BodySniffer::Media::ignored);
  EXPECT_EQ(sniffer.add(deflated(members, kGzipWrapped)), DocumentKind::none);
}

TEST(BodySniffer, EmptyBodyIsNoDocument) {
  BodySniffer sniffer("application/vnd.apple.mpegurl", "/x.m3u8", ContentCoding::identity,
                      BodySniffer::Media::ignored);
  EXPECT_EQ(sniffer.end(), DocumentKind::none);
}

// 64 KiB of a gzip header inflate to no text, so no single byte decides the kind before the limit.
TEST(BodySniffer, CodedBodyInSingleBytesIsInflatedOnce) {
  std::string body("\x1f\x8b\x08\x08\0\0\0\0\0\0", 10);  // FNAME follows
  body += std::string(BodySniffer::kMaxHeldBytes, 'n');
  BodySniffer sniffer("text/plain", "/x", ContentCoding::gzip, BodySniffer::Media::ignored);
  const std::clock_t begin = std::clock();
  size_t fed = 0;
  while (sniffer.add(std::string_view(body).substr(fed, 1)) == std::nullopt) ++fed;
  EXPECT_EQ(fed + 1, BodySniffer::kMaxHeldBytes);
  EXPECT_LT(std::clock() - begin, CLOCKS_PER_SEC / 2);
}

TEST(BodySniffer, HoldsNoMoreThanTheLimit) {
  BodySniffer sniffer("text/plain", "/x", ContentCoding::identity, BodySniffer::Media::ignored);
  const std::string blanks(BodySniffer::kMaxHeldBytes / 4, '\n');
  std::optional<DocumentKind> kind;
  for (int i = 0; i < 8 && !kind; ++i) kind = sniffer.add(blanks);
  EXPECT_EQ(kind, DocumentKind::none);
  EXPECT_LE(sniffer.held().size(), BodySniffer::kMaxHeldBytes);
}

TEST(BodySniffer, FindsMediaAtEverySplitIfWanted) {
  const std::string body = "RIFF\x01\x02\x03\x04WAVEfmt 0123456789";
  for (size_t step = 1; step <= body.size(); ++step) {
    BodySniffer sniffer("text/plain", "/x", ContentCoding::identity, BodySniffer::Media::wanted);
    EXPECT_EQ(kind_of(sniffer, body, step), DocumentKind::none) << step;
    EXPECT_EQ(sniffer.media_type(), "audio/wav") << step;
  }
  BodySniffer ignoring("text/plain", "/x", ContentCoding::identity, BodySniffer::Media::ignored);
  EXPECT_EQ(ignoring.add(body.substr(0, 1)), DocumentKind::none);
  EXPECT_EQ(ignoring.media_type(), "");
}

TEST(BodySniffer, FindsMediaInsideACoding) {
  const std::string body = deflated("RIFF\x01\x02\x03\x04WAVEfmt 0123456789", kGzipWrapped);
  for (size_t step = 1; step <= body.size(); ++step) {
    BodySniffer sniffer("text/plain", "/x", ContentCoding::gzip, BodySniffer::Media::wanted);
    EXPECT_EQ(kind_of(sniffer, body, step), DocumentKind::none) << step;
    EXPECT_EQ(sniffer.media_type(), "audio/wav") << step;
  }
}

TEST(BodySniffer, FindsAPlaylistIfMediaIsWanted) {
  BodySniffer sniffer("text/plain", "/x", ContentCoding::identity, BodySniffer::Media::wanted);
  EXPECT_EQ(kind_of(sniffer, kPlaylist, 1), DocumentKind::hls);
  BodySniffer text("text/plain", "/x", ContentCoding::identity, BodySniffer::Media::wanted);
  EXPECT_EQ(kind_of(text, "RIFF", 1), DocumentKind::none);  // ends before it is decided
  EXPECT_EQ(text.media_type(), "");
}

TEST(BodySniffer, FindsAManifestBehindALongPrologInAnyCoding) {
  std::string licence = "<!-- ";
  for (int i = 0; i < 900; ++i) licence += std::to_string(i * i) + ' ';
  licence += "-->\n";
  const auto kind = [](std::string_view body, const ContentCodings& codings, size_t step) {
    BodySniffer sniffer("text/plain", "/x", codings, BodySniffer::Media::wanted);
    return kind_of(sniffer, body, step);
  };
  for (const size_t step : {size_t{1}, size_t{700}, size_t{65536}}) {
    for (const auto& [root, expected] :
         {std::pair{"<MPD>", DocumentKind::mpd}, std::pair{"<svg>", DocumentKind::none}}) {
      const std::string body = licence + root + std::string(20'000, ' ');
      EXPECT_EQ(kind(body, ContentCoding::identity, step), expected) << step;
      EXPECT_EQ(kind(deflated(body, kGzipWrapped), ContentCoding::gzip, step), expected) << step;
      EXPECT_EQ(kind(brotli_coded(body), ContentCoding::brotli, step), expected) << step;
    }
  }
}

TEST(BodySniffer, ExpectedXmlIsRecognisedByItsRootElement) {
  const auto kind = [](std::string_view body, size_t step) {
    BodySniffer sniffer("text/plain", "/p", ContentCoding::identity, BodySniffer::Media::wanted);
    sniffer.expect(DocumentKind::mpd_part);
    return kind_of(sniffer, body, step);
  };
  for (const size_t step : {size_t{1}, size_t{3}, size_t{4096}}) {
    for (const std::string body :
         {"<Period>", " \n<?xml version='1.0'?><!-- <MPD> --><a:Patch a='b'/>",
          "\xEF\xBB\xBF<Period/><Period/>", "  "}) {
      EXPECT_EQ(kind(body, step), DocumentKind::mpd_part) << body;
    }
    const std::string utf16("\xFF\xFE<\0Q\0>\0", 8);
    EXPECT_EQ(kind(utf16, step), DocumentKind::mpd_part);
    EXPECT_EQ(kind(utf16.substr(0, 2), step), DocumentKind::none);
    EXPECT_EQ(kind("<!-- a --><MPD>", step), DocumentKind::mpd);
    EXPECT_EQ(kind(kPlaylist, step), DocumentKind::hls);
    for (const std::string body :
         {"<!doctype html><html>", "<html lang='a'>", "{}", "", "Period"}) {
      EXPECT_EQ(kind(body, step), DocumentKind::none) << body;
    }
  }
}

TEST(BodySniffer, ExpectedJsonIsRecognisedByItsBracket) {
  const auto kind = [](std::string_view body, size_t step) {
    BodySniffer sniffer("text/html", "/l", ContentCoding::identity, BodySniffer::Media::wanted);
    sniffer.expect(DocumentKind::asset_list);
    return kind_of(sniffer, body, step);
  };
  const std::string gzipped = deflated("{\"ASSETS\":[]}", kGzipWrapped);
  for (const size_t step : {size_t{1}, size_t{3}, size_t{4096}}) {
    for (const std::string body : {"{", " \r\n\t{}", "\xEF\xBB\xBF[", "   "}) {
      EXPECT_EQ(kind(body, step), DocumentKind::asset_list) << body;
    }
    EXPECT_EQ(kind(gzipped, step), DocumentKind::asset_list);
    EXPECT_EQ(kind(kPlaylist, step), DocumentKind::hls);
    for (const std::string body : {"", "\xEF\xBB\xBE{", "<html>{", "\xFF\xD8\xFF"}) {
      EXPECT_EQ(kind(body, step), DocumentKind::none) << body;
    }
  }
}

}  // namespace
}  // namespace streamgate
