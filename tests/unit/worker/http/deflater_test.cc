#include "worker/http/deflater.h"

#include <gtest/gtest.h>

#include <string>

#include "worker/http/inflater.h"
#include "worker/loop/block_buffer.h"

namespace streamgate {
namespace {

std::string text_of(size_t size) {
  std::string text;
  for (size_t i = 0; text.size() < size; ++i) text += "line " + std::to_string(i * i) + "\n";
  text.resize(size);
  return text;
}

struct Inflated {
  std::string text;
  bool is_whole;
};

Inflated inflated(std::string_view coded) {
  Inflater inflater(ContentCoding::gzip);
  Inflated out{};
  for (auto piece = inflater.next(coded); piece && !piece->empty(); piece = inflater.next(coded)) {
    out.text += *piece;
  }
  out.is_whole = inflater.finish().has_value();
  return out;
}

TEST(Deflater, PiecesOfEverySizeMakeOneStream) {
  const std::string text = text_of(200'000);
  for (const size_t piece : {size_t{1}, size_t{7}, size_t{4096}, text.size()}) {
    Deflater deflater;
    BlockBuffer out;
    for (size_t at = 0; at < text.size(); at += piece) {
      deflater.write(std::string_view(text).substr(at, piece), out);
    }
    deflater.finish(out);
    const Inflated back = inflated(out.text());
    EXPECT_EQ(back.text, text);
    EXPECT_TRUE(back.is_whole);
    EXPECT_LT(out.size(), text.size() / 2);
  }
}

TEST(Deflater, AFlushMakesTheWholeTextReadableAndIsNotRepeated) {
  const std::string text = text_of(50'000);
  Deflater deflater;
  BlockBuffer out;
  deflater.flush(out);
  EXPECT_EQ(out.size(), 0U);
  for (size_t at = 0; at < text.size(); at += 10'000) {
    deflater.write(std::string_view(text).substr(at, 10'000), out);
    deflater.flush(out);
    const size_t size = out.size();
    deflater.flush(out);
    EXPECT_EQ(out.size(), size);
    EXPECT_EQ(inflated(out.text()).text, text.substr(0, at + 10'000));
  }
  EXPECT_FALSE(inflated(out.text()).is_whole);
  deflater.finish(out);
  EXPECT_TRUE(inflated(out.text()).is_whole);
}

TEST(Deflater, AnEmptyTextIsAStreamToo) {
  Deflater deflater;
  BlockBuffer out;
  deflater.finish(out);
  EXPECT_EQ(inflated(out.text()).text, "");
  EXPECT_TRUE(inflated(out.text()).is_whole);
}

}  // namespace
}  // namespace streamgate
