#include "worker/exchange/packet_cutter.h"

#include <gtest/gtest.h>

#include <string>

namespace streamgate {
namespace {

std::string packets(size_t count, char fill) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += "G" + std::string(187, fill);
  return out;
}

// What leaves when `body` comes in pieces of that size.
std::string cut(PacketCutter& cutter, std::string_view body, size_t piece) {
  std::string out;
  for (; !body.empty(); body.remove_prefix(std::min(piece, body.size()))) {
    const auto [joined, whole] = cutter.take(body.substr(0, piece));
    out.append(joined).append(whole);
  }
  return out;
}

TEST(PacketCutter, OnlyWholePacketsAreSentForEverySplit) {
  const std::string body = packets(5, 'a') + packets(1, 'a').substr(0, 100);
  for (const size_t piece : {1U, 7U, 187U, 188U, 189U, 1000U, 5000U}) {
    PacketCutter cutter;
    EXPECT_EQ(cut(cutter, body, piece), packets(5, 'a')) << piece;
    EXPECT_EQ(cutter.finish(), packets(1, 'a').substr(0, 100)) << piece;
  }
}

TEST(PacketCutter, TheNextBodyBeginsAtAPacket) {
  for (const size_t piece : {1U, 188U, 5000U}) {
    PacketCutter cutter;
    EXPECT_EQ(cut(cutter, packets(2, 'a') + "Grest", piece), packets(2, 'a'));
    cutter.begin_next_body();
    EXPECT_EQ(cut(cutter, "cut packet G" + packets(3, 'b'), piece), packets(3, 'b')) << piece;
  }
}

TEST(PacketCutter, NoByteOfTheFirstBodyIsLost) {
  PacketCutter cutter;
  EXPECT_EQ(cut(cutter, "cut packet" + packets(3, 'a'), 50), "cut packet" + packets(3, 'a'));
  PacketCutter other;
  const std::string no_packets(10'000, 'x');
  EXPECT_EQ(cut(other, no_packets, 50), no_packets);
  PacketCutter brief;
  EXPECT_EQ(cut(brief, "brief", 2), "");
  EXPECT_EQ(brief.finish(), "brief");
}

TEST(PacketCutter, ABodyWithoutPacketsIsRelayedFromAnEarlyByteOn) {
  PacketCutter cutter;
  cut(cutter, packets(2, 'a'), 188);
  cutter.begin_next_body();
  const std::string no_packets(10'000, 'x');
  EXPECT_TRUE(cut(cutter, no_packets, 50).size() > 5'000);
}

}  // namespace
}  // namespace streamgate
