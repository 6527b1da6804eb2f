#include "worker/http/inflater.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "tests/unit/deflated.h"

namespace streamgate {
namespace {

struct Outcome {
  std::string text;
  std::optional<Reason> failure;
  size_t longest_piece = 0;
};

Outcome inflate_in_pieces(ContentCoding coding, std::string_view bytes, size_t piece_size) {
  Inflater inflater(coding);
  Outcome outcome;
  while (!bytes.empty()) {
    std::string_view left = bytes.substr(0, piece_size);
    bytes.remove_prefix(left.size());
    while (!left.empty() || inflater.may_have_more()) {
      const auto piece = inflater.next(left);
      if (!piece) {
        outcome.failure = piece.error().reason;
        return outcome;
      }
      outcome.longest_piece = std::max(outcome.longest_piece, piece->size());
      outcome.text.append(*piece);
    }
  }
  if (const Result<void> result = inflater.finish(); !result) {
    outcome.failure = result.error().reason;
  }
  return outcome;
}

const std::string kText = "#EXTM3U\n#EXTINF:4,\nseg1.ts\n#EXTINF:4,\nseg2.ts\n";

TEST(Inflater, ReadsEveryWrappingInPiecesOfAnySize) {
  for (const size_t piece : {1u, 2u, 3u, 7u, 1000u}) {
    EXPECT_EQ(inflate_in_pieces(ContentCoding::gzip, deflated(kText, kGzipWrapped), piece).text,
              kText);
    EXPECT_EQ(inflate_in_pieces(ContentCoding::deflate, deflated(kText, kZlibWrapped), piece).text,
              kText);
    const Outcome raw =
        inflate_in_pieces(ContentCoding::deflate, deflated(kText, kRawDeflate), piece);
    EXPECT_EQ(raw.text, kText);
    EXPECT_FALSE(raw.failure.has_value());
  }
}

TEST(Inflater, ReadsGzipMembersThatFollowEachOther) {
  const std::string two = deflated("one ", kGzipWrapped) + deflated("two", kGzipWrapped);
  for (size_t piece = 1; piece <= two.size(); ++piece) {
    const Outcome outcome = inflate_in_pieces(ContentCoding::gzip, two, piece);
    EXPECT_EQ(outcome.text, "one two") << piece;
    EXPECT_FALSE(outcome.failure.has_value()) << piece;
  }
}

TEST(Inflater, IgnoresPaddingBehindTheEnd) {
  const std::string padding(20, '\0');
  for (const int window_bits : {31, 15, -15}) {
    const ContentCoding coding = window_bits == 31 ? ContentCoding::gzip : ContentCoding::deflate;
    const Outcome outcome = inflate_in_pieces(coding, deflated(kText, window_bits) + padding, 5);
    EXPECT_EQ(outcome.text, kText);
    EXPECT_FALSE(outcome.failure.has_value());
  }
}

TEST(Inflater, SplitsAHugeBodyIntoSmallPieces) {
  const std::string huge(8 * 1024 * 1024, 'x');
  const Outcome outcome =
      inflate_in_pieces(ContentCoding::gzip, deflated(huge, kGzipWrapped), 1 << 20);
  EXPECT_EQ(outcome.text.size(), huge.size());
  EXPECT_LE(outcome.longest_piece, 64u * 1024);
}

TEST(Inflater, TruncatedBodyFails) {
  const std::string whole = deflated(kText, kGzipWrapped);
  for (size_t size = 0; size < whole.size(); ++size) {
    const Outcome outcome = inflate_in_pieces(ContentCoding::gzip, whole.substr(0, size), 9);
    EXPECT_EQ(outcome.failure, Reason::truncated_body) << size;
  }
}

TEST(Inflater, BytesThatDoNotMatchTheCodingFail) {
  EXPECT_EQ(inflate_in_pieces(ContentCoding::gzip, kText, 4).failure, Reason::bad_response);
  EXPECT_EQ(inflate_in_pieces(ContentCoding::deflate, "\x07garbage", 4).failure,
            Reason::bad_response);
  std::string broken = deflated(kText, kGzipWrapped);
  broken[broken.size() - 6] ^= 1;  // the checksum
  EXPECT_EQ(inflate_in_pieces(ContentCoding::gzip, broken, 1000).failure, Reason::bad_response);
  std::string dictionary = deflated(kText, kZlibWrapped);
  dictionary[1] = '\xbb';  // FDICT set, with a valid header checksum
  EXPECT_EQ(inflate_in_pieces(ContentCoding::deflate, dictionary, 1000).failure,
            Reason::bad_response);
}

}  // namespace
}  // namespace streamgate
