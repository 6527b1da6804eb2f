#include "worker/cache/ts_packets.h"

#include <utility>

namespace streamgate {
namespace {

// The whole packets at the front, each with its sync byte.
size_t run_at(std::string_view bytes) {
  size_t size = 0;
  while (size + kTsPacket <= bytes.size() && bytes[size] == kTsSync) size += kTsPacket;
  return size;
}

}  // namespace

size_t TsPackets::first_packet(std::string_view bytes) {
  for (size_t at = 0; at + kTsPacket < bytes.size(); ++at) {
    at = bytes.find(kTsSync, at);
    if (at == bytes.npos || at + kTsPacket >= bytes.size()) break;
    if (bytes[at + kTsPacket] != kTsSync) continue;
    if (at + 2 * kTsPacket >= bytes.size() || bytes[at + 2 * kTsPacket] == kTsSync) return at;
  }
  return std::string_view::npos;
}

TsPackets::Runs TsPackets::take(std::string_view& bytes) {
  if (!is_synced_) return search(bytes);
  Runs runs;
  if (!kept_.empty()) {
    const std::string_view end = bytes.substr(0, kTsPacket - kept_.size());
    kept_ += end;
    bytes.remove_prefix(end.size());
    if (kept_.size() < kTsPacket) return {};
    out_.swap(kept_);
    kept_.clear();
    runs.first = out_;
  }
  runs.second = bytes.substr(0, run_at(bytes));
  bytes.remove_prefix(runs.second.size());
  if (bytes.empty()) return runs;
  is_synced_ = bytes.front() == kTsSync;
  if (!is_synced_) return runs.first.empty() && runs.second.empty() ? search(bytes) : runs;
  // Less than a packet.
  kept_ = bytes;
  bytes = {};
  return runs;
}

TsPackets::Runs TsPackets::search(std::string_view& bytes) {
  // Takes only a part, because sync may be lost again after the packets that are found.
  const std::string_view part = bytes.substr(0, 2 * kTsPacket);
  kept_ += part;
  bytes.remove_prefix(part.size());
  const size_t start = first_packet(kept_);
  if (start == std::string::npos) {
    // A packet may begin here; the next one has not come yet.
    if (kept_.size() > kTsPacket) kept_.erase(0, kept_.size() - kTsPacket);
    return {};
  }
  out_ = std::exchange(kept_, {});
  const std::string_view found = std::string_view(out_).substr(start);
  const std::string_view run = found.substr(0, run_at(found));
  kept_ = found.substr(run.size());
  is_synced_ = kept_.empty() || kept_.front() == kTsSync;
  return {run, {}};
}

void TsPackets::begin_next_body() {
  is_synced_ = false;
  kept_.clear();
}

}  // namespace streamgate
