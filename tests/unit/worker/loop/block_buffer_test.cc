#include "worker/loop/block_buffer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace streamgate {
namespace {

TEST(BlockBuffer, KeepsPiecesOfAnySizeInOrder) {
  BlockBuffer buffer;
  std::string expected;
  for (size_t size = 0; size < 300'000; size = size * 3 + 1) {
    const std::string piece(size, static_cast<char>('a' + size % 26));
    buffer.append(piece);
    expected += piece;
    EXPECT_EQ(buffer.size(), expected.size());
  }
  EXPECT_EQ(buffer.text(), expected);
  buffer.append("more");
  EXPECT_EQ(buffer.text(), expected + "more");
}

TEST(BlockBuffer, AddsOnlyTheWrittenPartOfItsRoom) {
  BlockBuffer buffer;
  char* room = buffer.room(100);
  std::fill(room, room + 100, 'x');
  buffer.advance_to(room + 3);
  buffer.append("yz");
  EXPECT_EQ(buffer.text(), "xxxyz");
}

TEST(BlockBuffer, IsEmptyAfterHandOver) {
  for (const size_t taken : {0, 2, 5}) {
    BlockBuffer buffer;
    buffer.append("first");
    const size_t had = buffer.hand_over([taken](evbuffer* text) {
      const size_t length = evbuffer_get_length(text);
      evbuffer_drain(text, taken);
      return length;
    });
    EXPECT_EQ(had, 5u);
    EXPECT_EQ(buffer.size(), 0u);
    buffer.append("second");
    EXPECT_EQ(buffer.text(), "second");
  }
}

}  // namespace
}  // namespace streamgate
