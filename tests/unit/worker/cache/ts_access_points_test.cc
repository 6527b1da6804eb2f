#include "worker/cache/ts_access_points.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "worker/cache/ts_packets.h"

namespace streamgate {
namespace {

constexpr int kPmtPid = 0x100;
constexpr int kVideoPid = 0x101;
constexpr int kSoundPid = 0x102;

uint32_t crc_of(const std::string& bytes) {
  uint32_t crc = 0xffffffffU;
  for (const char byte : bytes) {
    crc ^= static_cast<uint32_t>(static_cast<unsigned char>(byte)) << 24U;
    for (int bit = 0; bit < 8; ++bit) crc = (crc << 1U) ^ ((crc >> 31U) * 0x04c11db7U);
  }
  return crc;
}

char low(size_t number) { return static_cast<char>(number & 0xffU); }

std::string section(int table, int id, const std::string& content, int current = 1) {
  const size_t size = 5 + content.size() + 4;
  std::string out{static_cast<char>(table), low(0xb0U | size >> 8U), low(size)};
  out += {low(static_cast<size_t>(id) >> 8U), low(static_cast<size_t>(id)),
          static_cast<char>(0xc0 | current), '\0', '\0'};
  out += content;
  const uint32_t crc = crc_of(out);
  return out + low(crc >> 24U) + low(crc >> 16U) + low(crc >> 8U) + low(crc);
}

// A stream of hand-made packets.
class Stream {
 public:
  enum class Unit { begins, continues };

  // A packet with that payload, filled up by an adaptation field with these flags.
  std::string packet(int pid, Unit unit, const std::string& payload, int flags = 0,
                     int scrambling = 0) {
    const int counter = counters_[static_cast<size_t>(pid)]++ & 15;
    const size_t field = kTsPacket - 4 - payload.size();
    std::string out{'G', static_cast<char>((unit == Unit::begins ? 0x40 : 0) | pid >> 8),
                    static_cast<char>(pid),
                    static_cast<char>(scrambling << 6 | (field > 0 ? 0x30 : 0x10) | counter)};
    if (field > 0) out += low(field - 1);
    if (field > 1) out += static_cast<char>(flags);
    if (field > 2) out += std::string(field - 2, '\xff');
    return out + payload;
  }

  // The packets of a section, each with `piece` bytes of payload at most.
  std::string table(int pid, const std::string& of, size_t piece = 184) {
    std::string rest = '\0' + of;
    std::string out;
    while (!rest.empty()) {
      out += packet(pid, out.empty() ? Unit::begins : Unit::continues, rest.substr(0, piece));
      rest.erase(0, piece);
    }
    return out;
  }

  std::string pat(int pmt_pid = kPmtPid) {
    const auto pid = static_cast<size_t>(pmt_pid);
    return table(0, section(0, 1, {'\0', '\1', low(0xe0U | pid >> 8U), low(pid)}));
  }
  std::string pmt(int video_type, size_t descriptors = 0, size_t piece = 184, int current = 1) {
    std::string content{'\xe1', '\x01', low(0xf0U | descriptors >> 8U), low(descriptors)};
    content += std::string(descriptors, '\x05');
    if (video_type > 0) content += {static_cast<char>(video_type), '\xe1', '\x01', '\xf0', '\0'};
    content += {'\x0f', '\xe1', '\x02', '\xf0', '\0'};
    return table(kPmtPid, section(2, 1, content, current), piece);
  }
  std::string pes(const std::string& content, int flags = 0, int scrambling = 0,
                  int pid = kVideoPid) {
    const std::string header{'\0', '\0', '\1', '\xe0', '\0', '\0', '\x80', '\0', '\0'};
    return packet(pid, Unit::begins, header + content, flags, scrambling);
  }

 private:
  std::vector<int> counters_ = std::vector<int>(8192, 0);
};

std::string nal(std::initializer_list<int> bytes) {
  std::string out("\0\0\1", 3);
  for (const int byte : bytes) out += static_cast<char>(byte);
  return out;
}

// The positions of all points, as packet numbers. `piece`: bytes at once.
std::vector<uint64_t> points_of(const std::string& stream, TsAccessPoints& points,
                                size_t piece = std::string::npos) {
  TsPackets packets;
  std::vector<uint64_t> out;
  uint64_t position = 0;
  const auto take = [&](std::string_view run) {
    for (; !run.empty(); run.remove_prefix(kTsPacket)) {
      if (const auto point = points.take(run.substr(0, kTsPacket), position)) {
        out.push_back(*point / kTsPacket);
      }
      position += kTsPacket;
    }
  };
  for (size_t at = 0; at < stream.size(); at += std::min(piece, stream.size() - at)) {
    std::string_view bytes = std::string_view(stream).substr(at, piece);
    while (!bytes.empty()) {
      const auto [first, second] = packets.take(bytes);
      take(first);
      take(second);
    }
  }
  return out;
}

std::vector<uint64_t> points_of(const std::string& stream) {
  TsAccessPoints points;
  return points_of(stream, points);
}

using Numbers = std::vector<uint64_t>;

// --- packets ---

TEST(TsPackets, CutsAtEverySplit) {
  Stream make;
  std::string stream = "xG noise";
  std::string packets;
  for (char mark = 'a'; mark < 'f'; ++mark) packets += make.pes(std::string(40, mark));
  stream += packets + "Gpart";
  for (size_t split = 0; split <= stream.size(); ++split) {
    TsPackets cutter;
    std::string out;
    for (std::string_view part :
         {std::string_view(stream).substr(0, split), std::string_view(stream).substr(split)}) {
      while (!part.empty()) {
        const auto [first, second] = cutter.take(part);
        out.append(first).append(second);
      }
    }
    ASSERT_EQ(out, packets) << split;
    ASSERT_EQ(cutter.rest(), "Gpart");
  }
}

TEST(TsPackets, FindsTheNextPacketAfterLostSync) {
  Stream make;
  std::string one, two;
  for (int i = 0; i < 3; ++i) one += make.pes("one");
  for (int i = 0; i < 3; ++i) two += make.pes("two");
  const std::string stream = one + std::string(77, '\xff') + two + two.substr(0, 100) + two;
  for (const size_t piece : {size_t{1}, size_t{187}, size_t{189}, stream.size()}) {
    TsPackets cutter;
    std::string out;
    for (size_t at = 0; at < stream.size(); at += std::min(piece, stream.size() - at)) {
      std::string_view bytes = std::string_view(stream).substr(at, piece);
      while (!bytes.empty()) {
        const auto [first, second] = cutter.take(bytes);
        out.append(first).append(second);
      }
    }
    EXPECT_EQ(out.size() % kTsPacket, 0U);
    EXPECT_EQ(out.substr(0, one.size() + two.size()), one + two);
    // The packet that was cut has the begin of the next one.
    EXPECT_EQ(out.substr(out.size() - 2 * kTsPacket), two.substr(kTsPacket));
  }
}

TEST(TsPackets, ThreeSyncBytesMakeAPacketIfThereAreSoMany) {
  Stream make;
  const std::string noise = 'G' + std::string(187, 'x') + 'G' + std::string(100, 'x');
  const std::string packets = make.pes("a") + make.pes("b") + make.pes("c");
  EXPECT_EQ(TsPackets::first_packet(noise + packets), noise.size());
  EXPECT_EQ(TsPackets::first_packet(noise.substr(0, 189)), 0U);
  EXPECT_EQ(TsPackets::first_packet(noise.substr(0, 188)), std::string::npos);
}

TEST(TsPackets, ANewBodyDropsThePacketThatHasNotEnded) {
  Stream make;
  TsPackets cutter;
  const std::string two = make.pes(std::string(150, 'G')) + make.pes(std::string(150, 'G'));
  std::string_view bytes = std::string_view(two).substr(0, 300);
  while (!bytes.empty()) cutter.take(bytes);
  EXPECT_FALSE(cutter.rest().empty());
  cutter.begin_next_body();
  EXPECT_TRUE(cutter.rest().empty());
  bytes = two;
  EXPECT_EQ(cutter.take(bytes).first, two);
}

// --- hand-made streams ---

TEST(TsAccessPoints, IndicatorOfRandomAccessCountsForAnyVideo) {
  for (const int type : {0x02, 0x1b, 0x24, 0x10, 0xea}) {
    Stream make;
    const std::string stream = make.pat() + make.pmt(type) + make.pes("x", 0x40) + make.pes("x");
    EXPECT_EQ(points_of(stream), Numbers{2}) << type;
  }
}

TEST(TsAccessPoints, NeedsTheTables) {
  Stream make;
  EXPECT_EQ(points_of(make.pes("x", 0x40) + make.pmt(0x1b) + make.pes("x", 0x40)), Numbers{});
}

TEST(TsAccessPoints, H264) {
  const std::string unit_start = nal({0x09, 0xf0});
  const struct {
    std::string content;
    bool is_point;
  } cases[] = {
      {nal({0x67, 1}) + nal({0x68, 1}) + nal({0x65, 1}), true},
      {nal({0x41, 1}) + nal({0x65, 1}), false},  // the first picture decides
      {nal({0x06, 0x06, 0x01, 0x80}) + nal({0x41}), true},
      {nal({0x06, 0x05, 0x01, 0x06, 0x80}) + nal({0x41}), false},
      {nal({0x06, 0x05, 0x02, 0x06, 0x06, 0x06, 0x01, 0x80}) + nal({0x41}), true},
      // A type of 261, and a size of 256.
      {nal({0x06, 0xff, 0x06, 0x01, 0x01, 0x80}) + nal({0x41}), false},
      {nal({0x06, 0x05, 0xff, 0x01}) + std::string(256, '\6') + nal({0x41}), false},
      // The 3 of an escape does not count for the size.
      {nal({0x06, 0x05, 0x03, 0, 0, 3, 9, 0x06, 0x01, 0x80}) + nal({0x41}), true},
      {nal({0x67, 0x42}), false},
  };
  for (const auto& each : cases) {
    Stream make;
    std::string stream = make.pat() + make.pmt(0x1b);
    std::string rest = unit_start + each.content;
    stream += make.pes(rest.substr(0, 20));
    rest.erase(0, std::min<size_t>(rest.size(), 20));
    // Byte by byte: all states last over the end of a packet.
    for (const char byte : rest) stream += make.packet(kVideoPid, Stream::Unit::continues, {byte});
    stream += make.pes(nal({0x41}));
    EXPECT_EQ(points_of(stream), each.is_point ? Numbers{2} : Numbers{});
  }
}

TEST(TsAccessPoints, Hevc) {
  for (int type = 0; type < 48; ++type) {
    Stream make;
    const std::string stream =
        make.pat() + make.pmt(0x24) + make.pes(nal({70, 1}) + nal({type << 1, 1}) + nal({2, 1}));
    EXPECT_EQ(points_of(stream), type >= 16 && type <= 23 ? Numbers{2} : Numbers{}) << type;
  }
  Stream make;
  const std::string recovery = nal({39 << 1, 1, 0x06, 0x01, 0x80}) + nal({2, 1});
  EXPECT_EQ(points_of(make.pat() + make.pmt(0x24) + make.pes(recovery)), Numbers{2});
}

TEST(TsAccessPoints, Mpeg2) {
  const std::string sequence = nal({0xb3, 1, 2, 3});
  const std::string intra = nal({0x00, 0x00, 0x08 | 0x40});
  const std::string predicted = nal({0x00, 0x00, 0x10});
  const struct {
    std::string content;
    bool is_point;
  } cases[] = {{sequence + nal({0xb8, 0}) + intra, true},
               {sequence + predicted, false},
               {intra, false},
               {nal({0x05, 7}) + sequence + intra, true},
               {predicted + sequence + intra, false}};
  for (const auto& each : cases) {
    Stream make;
    EXPECT_EQ(points_of(make.pat() + make.pmt(0x02) + make.pes(each.content)),
              each.is_point ? Numbers{2} : Numbers{});
  }
}

TEST(TsAccessPoints, SoundAloneBeginsAnywhere) {
  Stream make;
  const std::string stream = make.pat() + make.pmt(0) + make.pes("x", 0, 0, kSoundPid) +
                             make.packet(kSoundPid, Stream::Unit::continues, "y") +
                             make.pes("x", 0, 0, kSoundPid);
  EXPECT_EQ(points_of(stream), (Numbers{2, 4}));
}

TEST(TsAccessPoints, OfScrambledVideoOnlyTheIndicatorCounts) {
  Stream make;
  const std::string idr = nal({0x65, 1});
  const std::string stream =
      make.pat() + make.pmt(0x1b) + make.pes(idr, 0, 2) + make.pes(idr, 0x40, 3);
  EXPECT_EQ(points_of(stream), Numbers{3});
}

TEST(TsAccessPoints, TablesOverSeveralPackets) {
  for (const size_t piece : {size_t{1}, size_t{2}, size_t{50}, size_t{184}}) {
    Stream make;
    const std::string pat = make.pat();
    const std::string pmt = make.pmt(0x1b, piece < 50 ? 0 : 300, piece);
    const size_t count = pmt.size() / kTsPacket;
    TsAccessPoints points;
    const auto found = points_of(pat + pmt + make.pes(nal({0x65})), points);
    // A table in too many packets is not kept.
    const bool is_kept = count <= TsSections::kMaxPackets;
    EXPECT_EQ(found, is_kept ? Numbers{1 + count} : Numbers{}) << piece;
    EXPECT_EQ(points.tables(), is_kept ? pat + pmt : "") << piece;
    EXPECT_LE(points.tables().size(), TsAccessPoints::kMaxTables);
  }
}

TEST(TsAccessPoints, SeveralSectionsInOnePacket) {
  Stream make;
  const std::string other = section(2, 9, "\xe1\x01\xf0" + std::string(1, '\0'));
  const std::string ours =
      section(2, 1, {'\xe1', '\x01', '\xf0', '\0', '\x1b', '\xe1', '\x01', '\xf0', '\0'});
  const std::string both = make.table(kPmtPid, ours + other + std::string(20, '\xff'));
  EXPECT_EQ(points_of(make.pat() + both + make.pes(nal({0x65}))), Numbers{2});
  // The end of a section in front of the next one.
  Stream again;
  const std::string first = again.packet(kPmtPid, Stream::Unit::begins, '\0' + other.substr(0, 9));
  const std::string second = again.packet(
      kPmtPid, Stream::Unit::begins, static_cast<char>(other.size() - 9) + other.substr(9) + ours);
  EXPECT_EQ(points_of(again.pat() + first + second + again.pes(nal({0x65}))), Numbers{3});
}

TEST(TsAccessPoints, ARepeatedPacketOfATableCountsOnce) {
  Stream make;
  const std::string pat = make.pat();
  const std::string pmt = make.pmt(0x1b, 450);
  ASSERT_EQ(pmt.size(), 3 * kTsPacket);
  const std::string twice = pmt.substr(0, 2 * kTsPacket) + pmt.substr(kTsPacket);
  EXPECT_EQ(points_of(pat + twice + make.pes(nal({0x65}))), Numbers{5});
}

TEST(TsAccessPoints, DamagedTablesDoNotCount) {
  Stream make;
  std::string pmt = make.pmt(0x1b);
  pmt[pmt.size() - 8] ^= 1;
  EXPECT_EQ(points_of(make.pat() + pmt + make.pes(nal({0x65}))), Numbers{});
  // A packet between is lost.
  Stream other;
  std::string lost = other.pmt(0x1b, 500);
  lost.erase(kTsPacket, kTsPacket);
  EXPECT_EQ(points_of(other.pat() + lost + other.pes(nal({0x65}))), Numbers{});
}

TEST(TsAccessPoints, FollowsChangesOfTheTables) {
  Stream make;
  const std::string h264 = make.pes(nal({0x65}));
  const std::string stream = make.pat() + make.pmt(0x02) + h264 + make.pmt(0x1b, 0, 184, 0) +
                             make.pes(nal({0x65})) + make.pmt(0x1b) + make.pes(nal({0x65}));
  EXPECT_EQ(points_of(stream), Numbers{6});
  // Another PMT: nothing is known of the program until it comes.
  Stream moved;
  TsAccessPoints points;
  points_of(moved.pat() + moved.pmt(0x1b), points);
  EXPECT_FALSE(points.tables().empty());
  EXPECT_EQ(points_of(moved.pat(0x300) + moved.pes(nal({0x65})), points), Numbers{});
  EXPECT_TRUE(points.tables().empty());
}

TEST(TsAccessPoints, ANewBodyNeedsItsOwnTables) {
  Stream make;
  TsAccessPoints points;
  points_of(make.pat() + make.pmt(0x1b), points);
  points.begin_next_body();
  EXPECT_TRUE(points.tables().empty());
  EXPECT_EQ(points_of(make.pes(nal({0x65}), 0x40), points), Numbers{});
}

// --- real encoders ---

std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "re"), ::pclose);
  std::string out;
  char buffer[4096];
  while (const size_t got = pipe ? std::fread(buffer, 1, sizeof buffer, pipe.get()) : 0) {
    out.append(buffer, got);
  }
  return out;
}

void clear_indicators(std::string& stream) {
  for (size_t at = 0; at + kTsPacket <= stream.size(); at += kTsPacket) {
    const bool has_field = (static_cast<unsigned char>(stream[at + 3]) & 0x20U) != 0;
    if (has_field && stream[at + 4] != 0)
      stream[at + 5] = static_cast<char>(stream[at + 5] & ~0x40);
  }
}

class Encoders : public testing::TestWithParam<const char*> {};

TEST_P(Encoders, KeyFramesArePoints) {
  const std::string make =
      "ffmpeg -v error -nostdin -f lavfi -i testsrc=size=192x108:rate=25:duration=3 "
      "-f lavfi -i sine=duration=3 -pix_fmt yuv420p -g 20 " +
      std::string(GetParam()) + " -c:a mp2 -f mpegts - 2>/dev/null";
  std::string stream = output_of(make);
  if (stream.empty()) GTEST_SKIP() << "there is no ffmpeg with this encoder";
  TsAccessPoints points;
  const Numbers marked = points_of(stream, points, 1000);
  ASSERT_GE(marked.size(), 3U);
  clear_indicators(stream);
  // Without the indicator the pictures show the same points.
  EXPECT_EQ(points_of(stream), marked);
  EXPECT_EQ(points.tables().size(), 2 * kTsPacket);
}

INSTANTIATE_TEST_SUITE_P(
    Real, Encoders,
    testing::Values("-c:v libx264 -preset ultrafast -bf 2",
                    "-c:v libx264 -preset ultrafast -x264-params open-gop=1:bframes=2",
                    "-c:v libx265 -preset ultrafast -x265-params log-level=none",
                    "-c:v mpeg2video -bf 2"));

}  // namespace
}  // namespace streamgate
