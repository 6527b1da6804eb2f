#include "worker/documents/sniffer.h"

#include <gtest/gtest.h>

#include <ctime>
#include <optional>
#include <string>

#include "tests/unit/deflated.h"

namespace streamgate {
namespace {

constexpr std::string_view kPlaylist = "#EXTM3U\n#EXTINF:1,\na.ts\n";

// The verdict when the body comes in pieces of `step` bytes, and what was held back until then.
std::optional<DocumentKind> judge(BodySniffer& sniffer, std::string_view body, size_t step) {
  for (size_t at = 0; at < body.size(); at += step) {
    const std::optional<DocumentKind> verdict = sniffer.add(body.substr(at, step));
    if (verdict != std::nullopt) {
      EXPECT_EQ(sniffer.held(), body.substr(0, at));
      return verdict;
    }
  }
  return sniffer.end();
}

TEST(BodySniffer, MediaIsDecidedByItsFirstByteAndNothingIsHeld) {
  BodySniffer sniffer("video/mp2t", "/seg.ts", ContentCoding::identity);
  EXPECT_EQ(sniffer.add("\x47"), DocumentKind::none);
  EXPECT_TRUE(sniffer.held().empty());
}

TEST(BodySniffer, APlaylistOfAnyTypeIsFoundAtEverySplit) {
  for (size_t step = 1; step <= kPlaylist.size(); ++step) {
    BodySniffer sniffer("video/mp2t", "/x", ContentCoding::identity);
    EXPECT_EQ(judge(sniffer, kPlaylist, step), DocumentKind::hls) << step;
    EXPECT_EQ(sniffer.coding(), ContentCoding::identity);
  }
}

TEST(BodySniffer, ACompressedPlaylistIsFoundAtEverySplit) {
  const std::string body = deflated(kPlaylist, kGzipWrapped);
  for (size_t step = 1; step <= body.size(); ++step) {
    BodySniffer sniffer("text/plain", "/x", ContentCoding::gzip);
    EXPECT_EQ(judge(sniffer, body, step), DocumentKind::hls) << step;
    EXPECT_EQ(sniffer.coding(), ContentCoding::gzip);
  }
}

TEST(BodySniffer, AnUndeclaredGzipBodyIsFoundWhereAPlaylistIsClaimed) {
  const std::string body = deflated(kPlaylist, kGzipWrapped);
  for (const size_t step : {size_t{1}, size_t{2}, body.size()}) {
    BodySniffer sniffer("application/x-mpegurl", "/x", ContentCoding::identity);
    EXPECT_EQ(judge(sniffer, body, step), DocumentKind::hls) << step;
    EXPECT_EQ(sniffer.coding(), ContentCoding::gzip);
  }
  BodySniffer elsewhere("application/octet-stream", "/x.gz", ContentCoding::identity);
  EXPECT_EQ(judge(elsewhere, body, body.size()), DocumentKind::none);
}

TEST(BodySniffer, CompressedMediaAndBrokenCodingsPassThrough) {
  BodySniffer media("application/octet-stream", "/x.bin", ContentCoding::gzip);
  EXPECT_EQ(judge(media, deflated("plain bytes of no playlist", kGzipWrapped), 7),
            DocumentKind::none);
  BodySniffer broken("application/octet-stream", "/x.bin", ContentCoding::gzip);
  EXPECT_EQ(judge(broken, "this is not gzip at all", 100), DocumentKind::none);
}

TEST(BodySniffer, AnUnknownCodingIsAPlaylistOnlyWhereOneIsClaimed) {
  BodySniffer claimed("application/vnd.apple.mpegurl", "/x", ContentCoding::unknown);
  EXPECT_EQ(claimed.add("\x1b"), DocumentKind::hls);
  EXPECT_EQ(claimed.coding(), ContentCoding::unknown);
  BodySniffer other("video/mp4", "/x.mp4", ContentCoding::unknown);
  EXPECT_EQ(other.add("\x1b"), DocumentKind::none);
}

TEST(BodySniffer, AnEmptyBodyIsNoPlaylist) {
  BodySniffer sniffer("application/vnd.apple.mpegurl", "/x.m3u8", ContentCoding::identity);
  EXPECT_EQ(sniffer.end(), DocumentKind::none);
}

// 64 KiB of gzip header in single bytes: nothing comes of them, and each one asks for a verdict.
TEST(BodySniffer, ACodedBodyInSingleBytesCostsNoMoreThanItsSize) {
  std::string body("\x1f\x8b\x08\x08\0\0\0\0\0\0", 10);  // FNAME follows
  body += std::string(BodySniffer::kMaxHeldBytes, 'n');
  BodySniffer sniffer("text/plain", "/x", ContentCoding::gzip);
  const std::clock_t begin = std::clock();
  size_t fed = 0;
  while (sniffer.add(std::string_view(body).substr(fed, 1)) == std::nullopt) ++fed;
  EXPECT_EQ(fed + 1, BodySniffer::kMaxHeldBytes);
  EXPECT_LT(std::clock() - begin, CLOCKS_PER_SEC / 2);
}

TEST(BodySniffer, WhatNeverDecidesIsHeldOnlyUpToTheBound) {
  BodySniffer sniffer("text/plain", "/x", ContentCoding::identity);
  const std::string blanks(BodySniffer::kMaxHeldBytes / 4, '\n');
  std::optional<DocumentKind> verdict = std::nullopt;
  for (int i = 0; i < 8 && verdict == std::nullopt; ++i) verdict = sniffer.add(blanks);
  EXPECT_EQ(verdict, DocumentKind::none);
  EXPECT_LE(sniffer.held().size(), BodySniffer::kMaxHeldBytes);
}

}  // namespace
}  // namespace streamgate
