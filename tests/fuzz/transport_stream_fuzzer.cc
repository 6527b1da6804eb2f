// Cuts any bytes into MPEG-TS packets and looks for access points, with the input split at a byte
// that it names itself. The result does not depend on the split, and each point is a packet that
// has been seen.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/check.h"
#include "worker/cache/ts_access_points.h"
#include "worker/cache/ts_packets.h"

namespace {

using namespace streamgate;

struct Seen {
  std::string packets;
  std::vector<uint64_t> points;
};

Seen look_at(std::string_view stream, size_t split) {
  TsPackets cutter;
  TsAccessPoints points;
  Seen seen;
  const auto take = [&](std::string_view run) {
    CHECK(run.size() % kTsPacket == 0);
    for (; !run.empty(); run.remove_prefix(kTsPacket)) {
      const std::string_view packet = run.substr(0, kTsPacket);
      CHECK(packet.front() == kTsSync);
      const uint64_t position = seen.packets.size();
      seen.packets += packet;
      const auto point = points.take(packet, position);
      CHECK(points.tables().size() <= TsAccessPoints::kMaxTables);
      if (!point) continue;
      CHECK(*point <= position && *point % kTsPacket == 0);
      CHECK(!points.tables().empty());
      seen.points.push_back(*point);
    }
  };
  for (std::string_view part : {stream.substr(0, split), stream.substr(split)}) {
    while (!part.empty()) {
      const size_t before = part.size();
      const auto [first, second] = cutter.take(part);
      CHECK(part.size() < before);
      take(first);
      take(second);
    }
  }
  CHECK(cutter.rest().size() < kTsPacket);
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view stream(reinterpret_cast<const char*>(data) + 2, size - 2);
  const size_t split = (size_t{data[0]} << 8U | data[1]) % (stream.size() + 1);
  const Seen whole = look_at(stream, stream.size());
  const Seen parts = look_at(stream, split);
  // Where sync is lost, a split may change which packet is found next.
  const bool is_in_sync =
      stream.starts_with(whole.packets) && stream.size() - whole.packets.size() < kTsPacket;
  if (is_in_sync) CHECK(whole.packets == parts.packets && whole.points == parts.points);
  return 0;
}
