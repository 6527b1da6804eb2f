#include "worker/http/decoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>

#include "tests/unit/coded.h"
#include "tests/unit/deflated.h"

namespace streamgate {
namespace {

struct Outcome {
  std::string text;
  std::optional<Reason> failure;
  size_t longest_piece = 0;
  size_t calls = 0;
};

ContentCodings codings_of(std::string_view value) {
  return parse_content_codings({{"content-encoding", value}});
}

Outcome decode(const ContentCodings& codings, std::string_view bytes, size_t piece_size) {
  const auto decoder = make_decoder(codings);
  Outcome outcome;
  while (!bytes.empty()) {
    std::string_view left = bytes.substr(0, piece_size);
    bytes.remove_prefix(left.size());
    while (!left.empty() || decoder->may_have_more()) {
      const auto piece = decoder->next(left);
      if (!piece) {
        outcome.failure = piece.error().reason;
        return outcome;
      }
      ++outcome.calls;
      outcome.longest_piece = std::max(outcome.longest_piece, piece->size());
      outcome.text.append(*piece);
    }
  }
  if (const auto ended = decoder->finish(); !ended) outcome.failure = ended.error().reason;
  return outcome;
}

const std::string kText = "#EXTM3U\n#EXTINF:4,\nseg1.ts\n#EXTINF:4,\nseg2.ts\n";

struct Coded {
  std::string_view name;
  std::string bytes;
};

std::vector<Coded> all_coded(const std::string& text) {
  return {
      {"br", brotli_coded(text)},
      {"zstd", zstd_coded(text)},
      {"gzip, gzip", deflated(deflated(text, kGzipWrapped), kGzipWrapped)},
      {"deflate, br", brotli_coded(deflated(text, kRawDeflate))},
      {"zstd, deflate, x-gzip", deflated(deflated(zstd_coded(text), kZlibWrapped), kGzipWrapped)}};
}

TEST(Decoder, ReadsEveryCodingInPiecesOfAnySize) {
  for (const auto& [name, bytes] : all_coded(kText)) {
    for (const size_t piece : {1U, 2U, 3U, 7U, 1000U}) {
      const Outcome outcome = decode(codings_of(name), bytes, piece);
      EXPECT_EQ(outcome.text, kText) << name << " " << piece;
      EXPECT_FALSE(outcome.failure.has_value()) << name << " " << piece;
    }
  }
}

TEST(Decoder, SplitsAHugeBodyIntoSmallPieces) {
  const std::string huge(8 * 1024 * 1024, 'x');
  for (const auto& [name, bytes] : all_coded(huge)) {
    const Outcome outcome = decode(codings_of(name), bytes, 1 << 20);
    EXPECT_EQ(outcome.text.size(), huge.size()) << name;
    EXPECT_LE(outcome.longest_piece, Decoder::kPieceBytes) << name;
  }
}

TEST(Decoder, TruncatedBodyFails) {
  for (const auto& [name, bytes] : all_coded(kText)) {
    for (size_t size = 0; size < bytes.size(); ++size) {
      const Outcome outcome = decode(codings_of(name), bytes.substr(0, size), 9);
      EXPECT_EQ(outcome.failure, Reason::truncated_body) << name << " " << size;
    }
  }
}

TEST(Decoder, BytesThatDoNotMatchTheCodingFail) {
  for (const char* name : {"br", "zstd", "br, gzip", "gzip, zstd"}) {
    EXPECT_EQ(decode(codings_of(name), "\xff\xff\xff\xff no coding", 5).failure,
              Reason::bad_response)
        << name;
  }
}

TEST(Decoder, IgnoresPaddingBehindBrotliAndReadsZstdFramesThatFollowEachOther) {
  EXPECT_EQ(decode(codings_of("br"), brotli_coded(kText) + std::string(9, '\0'), 5).text, kText);
  const Outcome two = decode(codings_of("zstd"), zstd_coded("one ") + zstd_coded("two"), 3);
  EXPECT_EQ(two.text, "one two");
  EXPECT_FALSE(two.failure.has_value());
}

TEST(Decoder, RefusesAZstdWindowAbove8MiB) {
  // Frame header: no content size, window descriptor 14 << 3 (2^24 bytes); then an empty raw block.
  EXPECT_EQ(decode(ContentCoding::zstd, std::string("\x28\xb5\x2f\xfd\0\x70\1\0\0", 9), 9).failure,
            Reason::bad_response);
  EXPECT_FALSE(decode(ContentCoding::zstd, std::string("\x28\xb5\x2f\xfd\0\x68\1\0\0", 9), 9)
                   .failure.has_value());
}

// 64 MiB of empty gzip members decode to nothing. No call may take them all.
TEST(Decoder, ACallEndsEvenIfTheInnerCodingsGiveNoOutput) {
  const std::string member = deflated("", kGzipWrapped);
  std::string members;
  while (members.size() < (4U << 20)) members += member;
  const Outcome outcome =
      decode(codings_of("gzip, gzip"), deflated(members, kGzipWrapped), 1 << 20);
  EXPECT_EQ(outcome.text, "");
  EXPECT_GE(outcome.calls, members.size() / (3 * Decoder::kPieceBytes));
}

TEST(ContentCodings, AreParsedInTheirOrder) {
  using enum ContentCoding;
  const auto list = [](const HeaderFields& fields) {
    const ContentCodings codings = parse_content_codings(fields);
    EXPECT_FALSE(codings.has_unknown());
    return std::vector(codings.list().begin(), codings.list().end());
  };
  const auto one = [&](std::string_view value) { return list({{"Content-Encoding", value}}); };
  const std::vector<ContentCoding> none;
  EXPECT_EQ(list({}), none);
  EXPECT_EQ(one(""), none);
  EXPECT_EQ(one("identity, Identity"), none);
  EXPECT_EQ(one(" GZip "), std::vector{gzip});
  EXPECT_EQ(one("x-gzip"), std::vector{gzip});
  EXPECT_EQ(one("identity,,deflate"), std::vector{deflate});
  EXPECT_EQ(one("br, zstd"), (std::vector{brotli, zstd}));
  EXPECT_EQ(list({{"Content-Encoding", "gzip"}, {"content-encoding", "br"}}),
            (std::vector{gzip, brotli}));
}

TEST(ContentCodings, UnknownWordsAreNoted) {
  for (const char* value : {"utf-8", "none", "aws-chunked", "binary", "compress", "*"}) {
    EXPECT_TRUE(codings_of(value).empty() && codings_of(value).has_unknown()) << value;
  }
  EXPECT_EQ(codings_of("aws-chunked, gzip").list().size(), 1U);
  EXPECT_TRUE(codings_of("gzip, gzip, gzip, gzip").has_unknown());
}

}  // namespace
}  // namespace streamgate
